// Gradient clipping by global norm, on the device: nothing is read back before the optimizer's step.
import type { Gpu } from '../gpu/gpu.ts';
import { empty, type Tensor } from '../tensor.ts';
import { expectSize } from './launch.ts';

/**
 * {norm, factor} as a tensor [2]: norm = scale * sqrt(sumSquares), factor = scale * min(1, maxNorm / (norm + 1e-6))
 * (torch.nn.utils.clip_grad_norm_). `scale` is for gradients that are sums still to be averaged. maxNorm 0 or
 * Infinity clips nothing. A norm that is not finite gives factor 0, on which `adamw` skips the step.
 */
export function clipFactor(gpu: Gpu, sumSquares: Tensor, maxNorm: number, scale = 1): Tensor {
  expectSize('clip', 'sumSquares', sumSquares, 1);
  const limit = clipLimit(maxNorm);
  const y = empty(gpu, [2]);
  gpu.run('clip-factor', { sumSquares, y }, { maxNorm: limit, scale }, { groups: 1 });
  return y;
}

/** The largest norm as kernels take it, 0 where there is no limit. Throws on one below 0. */
export function clipLimit(maxNorm: number): number {
  if (!(maxNorm >= 0)) throw new Error(`clip: the largest norm is ${maxNorm}, but must be at least 0`);
  return Number.isFinite(maxNorm) ? maxNorm : 0;
}
