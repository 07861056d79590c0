// The embedding's row. Ids repeat, and some rows (latent columns) have a position but no token. Of a batch the rows
// from row0 on are embedded; hidden states enter the first `fed` of them, where the mask says if there is one.
import fc from 'fast-check';
import { embedding, embeddingPlans } from '../../src/ops/embedding.ts';
import { NONE } from '../../src/ops/scatter.ts';
import { upload } from '../../src/tensor.ts';
import { type Arr, arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  V: number;
  P: number;
  /** Rows embedded. */
  M: number;
  C: number;
  /** Rows of the batch before them. */
  row0: number;
  /** Rows that hidden states are given for, at most M; 0: there are none. */
  fed: number;
  /** 1: with a mask. */
  masked: number;
}

interface CpuAttrs {
  readonly ids: Uint32Array;
  readonly positions: Uint32Array;
  readonly row0: number;
  readonly mask: Uint32Array | undefined;
}

const plain = { row0: 0, fed: 0, masked: 0 };

/** Whether row m of y takes its hidden state. */
function thinks({ mask }: CpuAttrs, hidden: Arr | undefined, m: number): boolean {
  return hidden !== undefined && m < hidden.shape[0]! && mask?.[m] !== 0;
}

export const embeddingCase: OpCase<Dims, CpuAttrs> = {
  name: 'embedding',
  op: embedding,
  dims: fc
    .record({
      V: fc.integer({ min: 1, max: 30 }),
      P: fc.integer({ min: 1, max: 12 }),
      M: fc.integer({ min: 1, max: 50 }),
      C: fc.integer({ min: 1, max: 20 }),
      row0: fc.nat({ max: 9 }),
      fed: fc.nat({ max: 50 }),
      masked: fc.nat({ max: 1 }),
    })
    .map(dims => ({ ...dims, fed: Math.min(dims.fed, dims.M) })),
  fixed: [
    { V: 1, P: 1, M: 1, C: 1, ...plain },
    { V: 1, P: 1, M: 37, C: 3, ...plain },
    { V: 50, P: 9, M: 2, C: 4, row0: 5, fed: 1, masked: 1 },
    { V: 7, P: 5, M: 67, C: 33, row0: 1, fed: 67, masked: 0 },
    { V: 7, P: 5, M: 34, C: 65, row0: 17, fed: 17, masked: 1 },
    { V: 7, P: 5, M: 34, C: 6, row0: 0, fed: 5, masked: 0 },
    { V: 300, P: 64, M: 500, C: 8, ...plain },
  ],
  bench: [
    { V: 64, P: 128, M: 2048, C: 128, ...plain },
    { V: 64, P: 64, M: 384, C: 96, ...plain },
    { V: 64, P: 64, M: 32, C: 96, row0: 640, fed: 32, masked: 1 },
    { V: 64, P: 64, M: 16, C: 96, ...plain },
    { V: 64, P: 64, M: 1, C: 768, ...plain },
  ],
  cpuAttrs({ V, P, M, row0, fed, masked }, random) {
    const length = row0 + M;
    return {
      ids: Uint32Array.from({ length }, () => (random() < 0.15 ? NONE : Math.floor(random() * V))),
      positions: Uint32Array.from({ length }, () => Math.floor(random() * P)),
      row0,
      mask: fed > 0 && masked ? Uint32Array.from({ length: fed }, () => (random() < 0.6 ? 1 : 0)) : undefined,
    };
  },
  inputs: ({ V, P, C, fed }, random) => ({
    wte: normal([V, C], random),
    wpe: normal([P, C], random),
    ...(fed > 0 ? { hidden: normal([fed, C], random) } : {}),
  }),
  forward({ wte, wpe, hidden }, attrs) {
    const { ids, positions, row0 } = attrs;
    const C = wte!.shape[1]!;
    return arr([ids.length - row0, C], i => {
      const m = Math.floor(i / C);
      const c = i % C;
      const id = ids[row0 + m]!;
      const token = id === NONE ? 0 : wte!.data[id * C + c]!;
      const thought = thinks(attrs, hidden, m) ? hidden!.data[m * C + c]! : 0;
      return token + wpe!.data[positions[row0 + m]! * C + c]! + thought;
    });
  },
  backward({ wte, wpe, hidden }, attrs, dy) {
    const { ids, positions, row0 } = attrs;
    const C = wte!.shape[1]!;
    const dwte = arr(wte!.shape);
    const dwpe = arr(wpe!.shape);
    for (const [i, value] of dy.data.entries()) {
      const row = row0 + Math.floor(i / C);
      if (ids[row] !== NONE) dwte.data[ids[row]! * C + (i % C)]! += value;
      dwpe.data[positions[row]! * C + (i % C)]! += value;
    }
    const tables = { wte: dwte, wpe: dwpe };
    if (!hidden) return tables;
    const taken = arr(hidden.shape, i => (thinks(attrs, hidden, Math.floor(i / C)) ? dy.data[i]! : 0));
    return { ...tables, hidden: taken };
  },
  parameters: ['wte', 'wpe'],
  attrs(gpu, { ids, positions, row0, mask }, { V, P }, dtype = 'f32') {
    const put = (data: Uint32Array) => upload(gpu, data, [data.length]);
    const tables = { vocabulary: V, columns: P };
    const plans = embeddingPlans(gpu, ids.subarray(row0), positions.subarray(row0), tables);
    const attrs = { ids: put(ids), positions: put(positions), mask: mask && put(mask), plans, dtype };
    const prefixed = (name: string, tensors: object = {}) =>
      Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [name + key, tensor]));
    return {
      attrs: { ...attrs, rows: [row0, ids.length] },
      owned: {
        ids: attrs.ids,
        positions: attrs.positions,
        ...(attrs.mask ? { mask: attrs.mask } : {}),
        ...prefixed('ids.', plans.ids.tensors),
        ...prefixed('positions.', plans.positions.tensors),
      },
    };
  },
  cost: ({ M, C, fed }) => ({ flops: M * C + fed * C, bytes: 4 * (3 * M * C + fed * C + 2 * M) }),
  backwardCost: ({ V, P, M, C, fed }) => ({
    flops: 2 * M * C,
    bytes: 4 * ((M + V + P + 2 * fed) * C + 2 * M),
  }),
};
