// The row slice's row.
import fc from 'fast-check';
import { sliceRows } from '../../src/ops/slice-rows.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  M: number;
  C: number;
  from: number;
  to: number;
}

interface CpuAttrs {
  readonly from: number;
  readonly to: number;
}

export const sliceRowsCase: OpCase<Dims, CpuAttrs> = {
  name: 'slice-rows',
  op: sliceRows,
  dims: fc
    .tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 20 }), fc.nat(29), fc.nat(29))
    .map(([M, C, a, length]) => ({ M, C, from: a % M, to: (a % M) + 1 + (length % (M - (a % M))) })),
  fixed: [
    { M: 1, C: 1, from: 0, to: 1 },
    { M: 5, C: 3, from: 0, to: 5 },
    { M: 67, C: 13, from: 66, to: 67 },
    { M: 40, C: 17, from: 1, to: 38 },
  ],
  bench: [
    { M: 2048, C: 128, from: 1024, to: 2048 },
    { M: 384, C: 96, from: 368, to: 384 },
    { M: 32, C: 96, from: 0, to: 32 },
    { M: 16, C: 96, from: 0, to: 16 },
    { M: 2, C: 768, from: 1, to: 2 },
  ],
  cpuAttrs: ({ from, to }) => ({ from, to }),
  inputs: ({ M, C }, random) => ({ x: normal([M, C], random) }),
  forward({ x }, { from, to }) {
    const C = x!.shape[1]!;
    return arr([to - from, C], i => x!.data[from * C + i]!);
  },
  backward({ x }, { from, to }, dy) {
    const C = x!.shape[1]!;
    return { x: arr(x!.shape, i => (i >= from * C && i < to * C ? dy.data[i - from * C]! : 0)) };
  },
  attrs: (_gpu, attrs) => ({ attrs, owned: {} }),
  cost: ({ C, from, to }) => ({ flops: 0, bytes: 8 * (to - from) * C }),
  backwardCost: ({ M, C, from, to }) => ({ flops: 0, bytes: 4 * (to - from + M) * C }),
};
