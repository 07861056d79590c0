// The row of rows one after another: parts of several heights.
import fc from 'fast-check';
import { concatRows } from '../../src/ops/concat-rows.ts';
import { type Arr, arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  parts: number;
  M: number;
  C: number;
}

/** Part i has M + i rows. */
const parts = ({ parts, M, C }: Dims): number[][] => Array.from({ length: parts }, (_, i) => [M + i, C]);
const values = (inputs: Record<string, Arr>): Float64Array =>
  Float64Array.from(Object.values(inputs).flatMap(({ data }) => [...data]));

export const concatRowsCase: OpCase<Dims, null> = {
  name: 'concat-rows',
  op: concatRows,
  dims: fc.record({
    parts: fc.integer({ min: 1, max: 6 }),
    M: fc.integer({ min: 1, max: 20 }),
    C: fc.integer({ min: 1, max: 20 }),
  }),
  fixed: [
    { parts: 1, M: 1, C: 1 },
    { parts: 2, M: 1, C: 3 },
    { parts: 5, M: 13, C: 67 },
  ],
  bench: [
    { parts: 4, M: 512, C: 128 },
    { parts: 6, M: 32, C: 96 },
    { parts: 2, M: 1, C: 768 },
  ],
  cpuAttrs: () => null,
  inputs: (dims, random) =>
    Object.fromEntries(parts(dims).map((shape, i) => [`part${i}`, normal(shape, random)])),
  forward(inputs) {
    const data = values(inputs);
    const C = Object.values(inputs)[0]!.shape[1]!;
    return { data, shape: [data.length / C, C] };
  },
  backward(inputs, _attrs, dy) {
    let at = 0;
    return Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, data }]) => {
        const from = at;
        at += data.length;
        return [name, arr(shape, i => dy.data[from + i]!)];
      }),
    );
  },
  attrs: () => ({ attrs: undefined, owned: {} }),
  cost: dims => ({ flops: 0, bytes: 8 * parts(dims).reduce((sum, [M = 0, C = 0]) => sum + M * C, 0) }),
  backwardCost: dims => ({
    flops: 0,
    bytes: 8 * parts(dims).reduce((sum, [M = 0, C = 0]) => sum + M * C, 0),
  }),
};
