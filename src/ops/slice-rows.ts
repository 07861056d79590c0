// A contiguous range of rows; in time-major order, all rows of a batch at a range of columns.

import { copyRange, fill } from '../flat.ts';
import type { Op } from '../tape.ts';
import { elementBytes, empty, type Tensor } from '../tensor.ts';
import { widthOf } from './launch.ts';

type Inputs = { x: Tensor };
type Attrs = { from: number; to: number };

/**
 * y = x[from .. to): a view of x, which must live as long; a copy where the device cannot bind at that offset.
 * x [M, C] in any shape, y [to - from, C].
 */
export const sliceRows: Op<Inputs, Attrs> = {
  name: 'slice-rows',

  forward(gpu, { x }, { from, to }) {
    const C = widthOf(x);
    if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from < to && to * C <= x.size))
      throw new Error(`slice-rows: rows ${from} to ${to} are not a range of [${x.shape}]`);
    const offset = x.range.offset + from * C * elementBytes(x.dtype);
    if (offset % gpu.device.limits.minStorageBufferOffsetAlignment === 0)
      return { output: x.view([x.size / C, C]).rows(from, to), saved: {} };
    const output = empty(gpu, [to - from, C], x.dtype);
    copyRange(x, from * C, output, 0, output.size);
    return { output, saved: {} };
  },

  // y = x[from .. to): its rows take dy, all others nothing.
  backward(_gpu, { inputs, attrs }, dOutput, d) {
    if (!d.x) return;
    if (d.x.beta === 0) fill(d.x.tensor, 0);
    copyRange(dOutput, 0, d.x.tensor, attrs.from * widthOf(inputs.x), dOutput.size, d.x.beta);
  },
};
