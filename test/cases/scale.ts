// The row of multiplication by one number.
import fc from 'fast-check';
import { scale } from '../../src/ops/scale.ts';
import { upload } from '../../src/tensor.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  M: number;
  C: number;
}

export const scaleCase: OpCase<Dims, { readonly factor: number }> = {
  name: 'scale',
  op: scale,
  dims: fc.record({ M: fc.integer({ min: 1, max: 30 }), C: fc.integer({ min: 1, max: 40 }) }),
  fixed: [
    { M: 1, C: 1 },
    { M: 3, C: 7 },
    { M: 16, C: 16 },
    { M: 1, C: 257 },
    { M: 31, C: 67 },
  ],
  bench: [
    { M: 384, C: 96 },
    { M: 32, C: 768 },
    { M: 1, C: 768 },
  ],
  cpuAttrs: (_dims, random) => ({ factor: Math.fround(4 * random() - 2) }),
  inputs: ({ M, C }, random) => ({ x: normal([M, C], random) }),
  forward: ({ x }, { factor }) => arr(x!.shape, i => factor * x!.data[i]!),
  backward: ({ x }, { factor }, dy) => ({ x: arr(x!.shape, i => factor * dy.data[i]!) }),
  attrs(gpu, { factor }) {
    const tensor = upload(gpu, Float32Array.of(factor), [1]);
    return { attrs: { factor: tensor }, owned: { factor: tensor } };
  },
  cost: ({ M, C }) => ({ flops: M * C, bytes: 8 * M * C }),
  backwardCost: ({ M, C }) => ({ flops: M * C, bytes: 8 * M * C }),
};
