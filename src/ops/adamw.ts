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
  const { beta1, beta2, step, lr } = settings;
  check(tensors);
  if (!(Number.isInteger(step) && step >= 1)) throw new Error(`adamw: step ${step} is not a number from 1`);
  const shared = {
    ...parts(settings),
    rate: lr / (1 - beta1 ** step),
    rootCorrection: 1 / Math.sqrt(1 - beta2 ** step),
  };
  runFlat(gpu, 'adamw', flat, (start, count) => ({ ...shared, ...range(start, count, decayEnd) }), { clip });
}

/**
 * The same where the device alone knows how many steps were taken: `state` is the loss scale's, and `clip` comes from
 * `scaledClip`.
 */
export function adamwScaled(
  gpu: Gpu,
  tensors: AdamWTensors & { readonly state: Tensor },
  settings: Omit<AdamWSettings, 'step'>,
  decayEnd: number,
): void {
  const { clip, state, ...flat } = tensors;
  check(tensors);
  const shared = { ...parts(settings), lr: settings.lr };
  const params = (start: number, count: number) => ({ ...shared, ...range(start, count, decayEnd) });
  runFlat(gpu, 'adamw-scaled', flat, params, { clip, state });
}

function check({ clip, param }: AdamWTensors): void {
  expectSize('adamw', 'clip', clip, 2);
  if (param.size % 4 !== 0) throw new Error(`adamw: ${param.size} elements, which is no multiple of 4`);
}

/** All that mixes with 1 is computed here in float64: 1 - 0.999 in float32 is off by 5e-5 of itself. */
function parts({ lr, beta1, beta2, eps, weightDecay }: Omit<AdamWSettings, 'step'>) {
  return { keep: 1 - lr * weightDecay, rest1: 1 - beta1, beta2, rest2: 1 - beta2, eps };
}

/** Parameters of the piece of an arena that starts at element `start`. */
function range(start: number, count: number, decayEnd: number): { count: number; decayEnd: number } {
  return { count, decayEnd: Math.min(Math.max(decayEnd - start, 0), count) };
}
