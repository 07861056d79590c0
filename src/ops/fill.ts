// Filling and copying whole tensors. No tape ops: they are what ops and optimizers are made of.
import type { Tensor } from '../tensor.ts';
import { ceilDiv, runFlat } from './launch.ts';

/** Sets every element of an f32 tensor to `value`, whatever the tensor held. */
export function fill(y: Tensor, value: number): void {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0]!;
  runFlat(y.gpu, 'fill', { y }, (_, size) => ({ size, bits }));
}

/** y = x, or y += x with `beta` 1; same number of elements. */
export function copy(x: Tensor, y: Tensor, beta: 0 | 1 = 0): void {
  runFlat(y.gpu, 'copy', { x, y }, (_, count) => ({ count, xStart: 0, yStart: 0, beta }));
}

/** The same for `count` elements from `xStart` of x and `yStart` of y. Both must fit in a binding. */
export function copyRange(
  x: Tensor,
  xStart: number,
  y: Tensor,
  yStart: number,
  count: number,
  beta: 0 | 1 = 0,
): void {
  y.gpu.run('copy', { x, y }, { count, xStart, yStart, beta }, { groups: ceilDiv(count, 256), unroll: true });
}
