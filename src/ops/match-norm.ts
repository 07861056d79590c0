// Vectors as long as others: what noise needs to stand in for a thought. No tape op.
import type { Gpu } from '../gpu/gpu.ts';
import { empty, type Tensor } from '../tensor.ts';
import { ceilDiv, expectShape, widthOf } from './launch.ts';

/** y[r] = direction[r] · |x[r]| / |direction[r]|, rows of 0 where direction[r] is 0. All [R, C]. */
export function matchNorm(gpu: Gpu, x: Tensor, direction: Tensor): Tensor {
  const C = widthOf(x);
  const R = x.size / C;
  expectShape('match-norm', 'direction', direction, x.shape);
  const y = empty(gpu, x.shape);
  gpu.run('match-norm', { x, d: direction, y }, { R, C }, { groups: ceilDiv(R, 4) });
  return y;
}
