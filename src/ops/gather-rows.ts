// Picks rows, such as the columns that carry a label, and puts their gradients back.
import type { Gpu } from '../gpu/gpu.ts';
import type { Op, Slot } from '../tape.ts';
import { empty, type Tensor, upload } from '../tensor.ts';
import { COLS, ceilDiv, expectSize, widthOf } from './launch.ts';
import { NONE } from './scatter.ts';

type Inputs = { x: Tensor };

export interface GatherAttrs {
  /** u32 [R]: the row of x that each row of y is; all different. */
  readonly index: Tensor;
  /** u32 [M]: the row of y that each row of x went to, or NONE. */
  readonly inverse: Tensor;
}

/** Index and inverse on a device, for rows of an x of M rows; the caller frees both. Throws on a bad index. */
export function gatherAttrs(gpu: Gpu, index: Uint32Array, M: number): GatherAttrs {
  const inverse = new Uint32Array(M).fill(NONE);
  for (const [r, m] of index.entries()) {
    if (m >= M) throw new Error(`gather-rows: row ${m} of ${M} does not exist`);
    if (inverse[m] !== NONE) throw new Error(`gather-rows: row ${m} is picked twice`);
    inverse[m] = r;
  }
  return { index: upload(gpu, index, [index.length]), inverse: upload(gpu, inverse, [M]) };
}

/** y[r] = x[index[r]]. x [M, C] in any shape, y [R, C]. */
export const gatherRows: Op<Inputs, GatherAttrs> = {
  name: 'gather-rows',

  forward(gpu, { x }, { index, inverse }) {
    const C = widthOf(x);
    expectSize('gather-rows', 'inverse', inverse, x.size / C);
    const output = empty(gpu, [index.size, C], x.dtype);
    gather(gpu, x, index, { tensor: output, beta: 0 }, C);
    return { output, saved: {} };
  },

  // y[r] = x[index[r]]: dx[m] = dy[inverse[m]], or 0. The rows are distinct, so this is a gather too.
  backward(gpu, { inputs, attrs }, dOutput, d) {
    if (d.x) gather(gpu, dOutput, attrs.inverse, d.x, widthOf(inputs.x));
  },
};

/** y[r] = x[index[r]], rows as often as they are named, without a gradient. x [M, C], index u32 [R], y [R, C]. */
export function pickRows(gpu: Gpu, x: Tensor, index: Tensor): Tensor {
  const C = widthOf(x);
  const y = empty(gpu, [index.size, C], x.dtype);
  gather(gpu, x, index, { tensor: y, beta: 0 }, C);
  return y;
}

function gather(gpu: Gpu, x: Tensor, index: Tensor, y: Slot, C: number): void {
  const R = index.size;
  const groups = ceilDiv(R * ceilDiv(C, COLS), 64);
  gpu.run('gather-rows', { x, index, y: y.tensor }, { R, C, beta: y.beta }, { groups, unroll: true });
}
