// The loss scale of gradients that are stored as f16, on the device: it backs off from an overflow and grows without
// one, and nothing is read back for it. Knows the gradients' norm; knows no parameters.
import type { Gpu } from '../gpu/gpu.ts';
import { empty, type Tensor } from '../tensor.ts';
import { clipLimit } from './clip.ts';
import { expectSize } from './launch.ts';

/** A loss scale after some steps. All numbers are those of float32. */
export interface LossScale {
  /** What the loss's gradient begins with, so that small gradients are not rounded to 0. */
  readonly scale: number;
  /** Steps in a row that were taken at this scale. */
  readonly row: number;
  /** Steps that were not taken, since a gradient was not finite. */
  readonly skipped: number;
  /** 1 - beta^t of AdamW's two moments, with t the steps that were taken. */
  readonly correction1: number;
  readonly correction2: number;
}

/** As torch.amp.GradScaler begins, and goes on: 2^16, half after an overflow, double after 2,000 steps without. */
export const FIRST_SCALE: LossScale = { scale: 2 ** 16, row: 0, skipped: 0, correction1: 0, correction2: 0 };
const INTERVAL = 2000;
/** Beyond it there is nothing to be won: the smallest f16 times this is 1. */
const MOST = 2 ** 24;

const KEYS = ['scale', 'row', 'skipped', 'correction1', 'correction2'] as const;

/** A loss scale on the device, as a tensor [5], whose first element is the scale. */
export function uploadScale(gpu: Gpu, state: LossScale): Tensor {
  // Not by an upload, whose buffers no kernel writes.
  const tensor = empty(gpu, [KEYS.length]);
  writeScale(tensor, state);
  return tensor;
}

/** The same in the tensor's place. */
export function writeScale(tensor: Tensor, state: LossScale): void {
  tensor.gpu.write(
    tensor.range,
    Float32Array.from(KEYS, key => state[key]),
  );
}

/** What the elements of such a tensor say. */
export function scaleOf(values: ArrayLike<number>): LossScale {
  const [scale = 1, row = 0, skipped = 0, correction1 = 0, correction2 = 0] = Array.from(values);
  return { scale, row, skipped, correction1, correction2 };
}

export interface ScaledClip {
  /** Largest global norm of the gradients without the scale; 0 or Infinity clips nothing. */
  readonly maxNorm: number;
  readonly beta1: number;
  readonly beta2: number;
}

/**
 * {norm, factor} as a tensor [2], of gradients that are `state`'s scale times too large: the norm that they have without
 * it, and what makes them as long as they are to be. A norm that is not finite gives factor 0, on which `adamwScaled`
 * skips the step. `state` goes on to the next step.
 */
export function scaledClip(gpu: Gpu, sumSquares: Tensor, state: Tensor, how: ScaledClip): Tensor {
  expectSize('loss scale', 'sumSquares', sumSquares, 1);
  expectSize('loss scale', 'state', state, KEYS.length);
  const y = empty(gpu, [2]);
  const { maxNorm, beta1, beta2 } = how;
  const rests = { rest1: 1 - beta1, rest2: 1 - beta2 };
  const params = { maxNorm: clipLimit(maxNorm), ...rests, interval: INTERVAL, most: MOST };
  gpu.run('loss-scale', { sumSquares, y, state }, params, { groups: 1 });
  return y;
}
