// The row gather's row: distinct rows in any order.
import fc from 'fast-check';
import { gatherAttrs, gatherRows } from '../../src/ops/gather-rows.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  M: number;
  C: number;
  R: number;
}

export const gatherRowsCase: OpCase<Dims, Uint32Array> = {
  name: 'gather-rows',
  op: gatherRows,
  dims: fc
    .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20 }), fc.nat({ max: 39 }))
    .map(([M, C, r]) => ({ M, C, R: 1 + (r % M) })),
  fixed: [
    { M: 1, C: 1, R: 1 },
    { M: 9, C: 5, R: 9 },
    { M: 67, C: 66, R: 3 },
    { M: 300, C: 4, R: 131 },
  ],
  bench: [
    { M: 2048, C: 128, R: 512 },
    { M: 384, C: 96, R: 128 },
    { M: 32, C: 96, R: 32 },
    { M: 16, C: 96, R: 16 },
    { M: 1, C: 768, R: 1 },
  ],
  /** The index: R of the rows, shuffled. */
  cpuAttrs({ M, R }, random) {
    const rows = Array.from({ length: M }, (_, m) => ({ m, rank: random() })).sort((a, b) => a.rank - b.rank);
    return Uint32Array.from(rows.slice(0, R), ({ m }) => m);
  },
  inputs: ({ M, C }, random) => ({ x: normal([M, C], random) }),
  forward({ x }, index) {
    const C = x!.shape[1]!;
    return arr([index.length, C], i => x!.data[index[Math.floor(i / C)]! * C + (i % C)]!);
  },
  backward({ x }, index, dy) {
    const C = x!.shape[1]!;
    const dx = arr(x!.shape);
    for (const [i, value] of dy.data.entries()) dx.data[index[Math.floor(i / C)]! * C + (i % C)]! += value;
    return { x: dx };
  },
  attrs(gpu, index, { M }) {
    const attrs = gatherAttrs(gpu, index, M);
    return { attrs, owned: { ...attrs } };
  },
  cost: ({ R, C }) => ({ flops: 0, bytes: 4 * (2 * R * C + R) }),
  backwardCost: ({ M, R, C }) => ({ flops: 0, bytes: 4 * ((R + M) * C + R) }),
};
