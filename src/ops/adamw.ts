// AdamW (Loshchilov & Hutter 2019) over flat arenas: one dispatch updates every parameter.
import { runFlat } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Tensor } from '../tensor.ts';
import { expectSize } from './launch.ts';

/** Arenas of one size, and `clip` [2] = {norm, factor} from `clipFactor`, whose factor multiplies the gradient. */
export interface AdamWTensors {
  readonly param: Tensor;
  readonly grad: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  readonly clip: Tensor;
}

export interface AdamWSettings {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Number of this step, from 1: it corrects the bias of moments that started at 0. */
  readonly step: number;
}

/**
 * One step in place on param, m and v, as torch.optim.AdamW does it. Elements below `decayEnd` decay, others do
 * not: matrices and embeddings lie first in an arena, then biases and norms. m and v start as zeros. Elements come in
 * fours, as those of arenas do.
 */
export function adamw(gpu: Gpu, tensors: AdamWTensors, settings: AdamWSettings, decayEnd: number): void {
  const { clip, ...flat } = tensors;
  const { lr, beta1, beta2, eps, weightDecay, step } = settings;
  expectSize('adamw', 'clip', clip, 2);
  if (flat.param.size % 4 !== 0)
    throw new Error(`adamw: ${flat.param.size} elements, which is no multiple of 4`);
  if (!(Number.isInteger(step) && step >= 1)) throw new Error(`adamw: step ${step} is not a number from 1`);
  // All that mixes with 1 is computed here in float64: 1 - 0.999 in float32 is off by 5e-5 of itself.
  const shared = {
    keep: 1 - lr * weightDecay,
    rate: lr / (1 - beta1 ** step),
    rest1: 1 - beta1,
    beta2,
    rest2: 1 - beta2,
    rootCorrection: 1 / Math.sqrt(1 - beta2 ** step),
    eps,
  };
  runFlat(
    gpu,
    'adamw',
    flat,
    (start, count) => ({ ...shared, count, decayEnd: Math.min(Math.max(decayEnd - start, 0), count) }),
    { clip },
  );
}
