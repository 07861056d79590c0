// The residual addition's row.
import fc from 'fast-check';
import { add } from '../../src/ops/add.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  M: number;
  C: number;
}

export const addCase: OpCase<Dims, undefined> = {
  name: 'add',
  op: add,
  dims: fc.record({ M: fc.integer({ min: 1, max: 30 }), C: fc.integer({ min: 1, max: 40 }) }),
  fixed: [
    { M: 1, C: 1 },
    { M: 1, C: 256 },
    { M: 1, C: 257 },
    { M: 13, C: 61 },
  ],
  bench: [
    { M: 2048, C: 128 },
    { M: 384, C: 96 },
    { M: 32, C: 96 },
    { M: 16, C: 96 },
    { M: 1, C: 768 },
  ],
  cpuAttrs: () => undefined,
  inputs: ({ M, C }, random) => ({ a: normal([M, C], random), b: normal([M, C], random) }),
  forward: ({ a, b }) => arr(a!.shape, i => a!.data[i]! + b!.data[i]!),
  backward: (_inputs, _attrs, dy) => ({
    a: arr(dy.shape, i => dy.data[i]!),
    b: arr(dy.shape, i => dy.data[i]!),
  }),
  attrs: () => ({ attrs: undefined, owned: {} }),
  cost: ({ M, C }) => ({ flops: M * C, bytes: 12 * M * C }),
  backwardCost: ({ M, C }) => ({ flops: 0, bytes: 12 * M * C }),
};
