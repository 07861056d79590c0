// The embedding's row. Ids repeat, and some rows (latent columns) have a position but no token.
import fc from 'fast-check';
import { embedding, embeddingAttrs } from '../../src/ops/embedding.ts';
import { NONE } from '../../src/ops/scatter.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  V: number;
  P: number;
  M: number;
  C: number;
}

interface CpuAttrs {
  readonly ids: Uint32Array;
  readonly positions: Uint32Array;
}

export const embeddingCase: OpCase<Dims, CpuAttrs> = {
  name: 'embedding',
  op: embedding,
  dims: fc.record({
    V: fc.integer({ min: 1, max: 30 }),
    P: fc.integer({ min: 1, max: 12 }),
    M: fc.integer({ min: 1, max: 50 }),
    C: fc.integer({ min: 1, max: 20 }),
  }),
  fixed: [
    { V: 1, P: 1, M: 1, C: 1 },
    { V: 1, P: 1, M: 37, C: 3 },
    { V: 50, P: 9, M: 2, C: 4 },
    { V: 7, P: 5, M: 67, C: 33 },
    { V: 300, P: 64, M: 500, C: 8 },
  ],
  bench: [
    { V: 64, P: 128, M: 2048, C: 128 },
    { V: 64, P: 64, M: 384, C: 96 },
    { V: 64, P: 64, M: 32, C: 96 },
    { V: 64, P: 64, M: 16, C: 96 },
    { V: 64, P: 64, M: 1, C: 768 },
  ],
  cpuAttrs: ({ V, P, M }, random) => ({
    ids: Uint32Array.from({ length: M }, () => (random() < 0.15 ? NONE : Math.floor(random() * V))),
    positions: Uint32Array.from({ length: M }, () => Math.floor(random() * P)),
  }),
  inputs: ({ V, P, C }, random) => ({ wte: normal([V, C], random), wpe: normal([P, C], random) }),
  forward({ wte, wpe }, { ids, positions }) {
    const C = wte!.shape[1]!;
    return arr([ids.length, C], i => {
      const m = Math.floor(i / C);
      const token = ids[m] === NONE ? 0 : wte!.data[ids[m]! * C + (i % C)]!;
      return token + wpe!.data[positions[m]! * C + (i % C)]!;
    });
  },
  backward({ wte, wpe }, { ids, positions }, dy) {
    const C = wte!.shape[1]!;
    const dwte = arr(wte!.shape);
    const dwpe = arr(wpe!.shape);
    for (const [i, value] of dy.data.entries()) {
      const m = Math.floor(i / C);
      if (ids[m] !== NONE) dwte.data[ids[m]! * C + (i % C)]! += value;
      dwpe.data[positions[m]! * C + (i % C)]! += value;
    }
    return { wte: dwte, wpe: dwpe };
  },
  attrs(gpu, { ids, positions }, { V, P }) {
    const attrs = embeddingAttrs(gpu, ids, positions, { vocabulary: V, columns: P });
    const { plans } = attrs;
    const prefixed = (name: string, tensors: object = {}) =>
      Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [name + key, tensor]));
    return {
      attrs,
      owned: {
        ids: attrs.ids,
        positions: attrs.positions,
        ...prefixed('ids.', plans?.ids.tensors),
        ...prefixed('positions.', plans?.positions.tensors),
      },
    };
  },
  cost: ({ M, C }) => ({ flops: M * C, bytes: 4 * (3 * M * C + 2 * M) }),
  backwardCost: ({ V, P, M, C }) => ({ flops: 2 * M * C, bytes: 4 * ((M + V + P) * C + 2 * M) }),
};
