// GELU's row: the tanh form as written in the paper, over a range in which it is curved, flat and linear.
import fc from 'fast-check';
import { gelu } from '../../src/ops/gelu.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  M: number;
  C: number;
}

const K = Math.sqrt(2 / Math.PI);

export const geluCase: OpCase<Dims, undefined> = {
  name: 'gelu',
  op: gelu,
  dims: fc.record({ M: fc.integer({ min: 1, max: 30 }), C: fc.integer({ min: 1, max: 40 }) }),
  fixed: [
    { M: 1, C: 1 },
    { M: 3, C: 7 },
    { M: 16, C: 16 },
    { M: 1, C: 257 },
    { M: 31, C: 67 },
  ],
  bench: [
    { M: 2048, C: 512 },
    { M: 384, C: 384 },
    { M: 32, C: 384 },
    { M: 16, C: 384 },
    { M: 1, C: 3072 },
  ],
  cpuAttrs: () => undefined,
  inputs: ({ M, C }, random) => ({ x: normal([M, C], random, 3) }),
  forward({ x }) {
    return arr(x!.shape, i => {
      const v = x!.data[i]!;
      return (v / 2) * (1 + Math.tanh(K * (v + 0.044715 * v ** 3)));
    });
  },
  backward({ x }, _attrs, dy) {
    const dx = arr(x!.shape, i => {
      const v = x!.data[i]!;
      const tanh = Math.tanh(K * (v + 0.044715 * v ** 3));
      const slope = K * (1 + 3 * 0.044715 * v ** 2) * (1 - tanh ** 2);
      return dy.data[i]! * ((1 + tanh) / 2 + (v / 2) * slope);
    });
    return { x: dx };
  },
  attrs: () => ({ attrs: undefined, owned: {} }),
  // The hyperbolic tangent counts as one operation.
  cost: ({ M, C }) => ({ flops: 8 * M * C, bytes: 8 * M * C }),
  backwardCost: ({ M, C }) => ({ flops: 17 * M * C, bytes: 12 * M * C }),
};
