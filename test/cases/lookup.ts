// The lookup's row: ids in any order, repeated as they come.
import fc from 'fast-check';
import { lookup } from '../../src/ops/lookup.ts';
import { upload } from '../../src/tensor.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  M: number;
  V: number;
  C: number;
}

export const lookupCase: OpCase<Dims, Uint32Array> = {
  name: 'lookup',
  op: lookup,
  dims: fc.record({
    M: fc.integer({ min: 1, max: 40 }),
    V: fc.integer({ min: 1, max: 30 }),
    C: fc.integer({ min: 1, max: 20 }),
  }),
  fixed: [
    { M: 1, V: 1, C: 1 },
    { M: 9, V: 1, C: 5 },
    { M: 67, V: 5, C: 66 },
    { M: 33, V: 300, C: 4 },
  ],
  bench: [
    { M: 512, V: 64, C: 96 },
    { M: 32, V: 64, C: 96 },
    { M: 16, V: 8192, C: 128 },
    { M: 1, V: 64, C: 768 },
  ],
  cpuAttrs: ({ M, V }, random) => Uint32Array.from({ length: M }, () => Math.floor(random() * V)),
  inputs: ({ V, C }, random) => ({ table: normal([V, C], random) }),
  forward({ table }, ids) {
    const C = table!.shape[1]!;
    return arr([ids.length, C], i => table!.data[ids[Math.floor(i / C)]! * C + (i % C)]!);
  },
  backward({ table }, ids, dy) {
    const C = table!.shape[1]!;
    const dtable = arr(table!.shape);
    for (const [i, value] of dy.data.entries()) dtable.data[ids[Math.floor(i / C)]! * C + (i % C)]! += value;
    return { table: dtable };
  },
  parameters: ['table'],
  attrs(gpu, ids, _dims, dtype = 'f32') {
    const tensor = upload(gpu, ids, [ids.length]);
    return { attrs: { ids: tensor, dtype }, owned: { ids: tensor } };
  },
  cost: ({ M, C }) => ({ flops: 0, bytes: 4 * (2 * M * C + M) }),
  backwardCost: ({ M, V, C }) => ({ flops: M * C, bytes: 4 * ((M + V) * C + M) }),
};
