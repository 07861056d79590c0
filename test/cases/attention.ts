// Attention's row: one pass over all columns, with left pads. The reference is the textbook form in float64:
// scores, softmax, weighted sum, and the chain rule through them. Passes and stores: test/ops-attention.test.ts.
import fc from 'fast-check';
import { attention, KvStore } from '../../src/ops/attention.ts';
import { keepsWeight, type Words } from '../../src/ops/masks.ts';
import { upload } from '../../src/tensor.ts';
import { type Arr, arr, normal, type OpCase } from './case.ts';

export interface AttentionDims extends Record<string, number> {
  B: number;
  T: number;
  H: number;
  D: number;
}

export interface AttentionCpuAttrs {
  readonly B: number;
  readonly H: number;
  /** First real column of each row. */
  readonly first: Uint32Array;
  /** Dropout of the weights, and the rows' keys; by default there is none. */
  readonly masked?: { readonly rate: number; readonly keys: readonly Words[] };
}

/** What the weight of the key of column s is multiplied by in the output of the query of column t. */
function kept({ H, first, masked }: AttentionCpuAttrs, t: number, s: number, b: number, h: number): number {
  if (!masked) return 1;
  const [query, key] = [t - first[b]!, s - first[b]!];
  return keepsWeight(masked.keys[b]!, { query, key, h, H }, masked.rate) ? 1 / (1 - masked.rate) : 0;
}

/** Left pads: none for the first row, any number (even the whole row) for the others. */
export function randomFirst(B: number, T: number, random: () => number): Uint32Array {
  return Uint32Array.from({ length: B }, (_, b) => (b === 0 ? 0 : Math.floor(random() * (T + 1))));
}

/** Offset in qkv [T*B, 3C] of q (part 0), k (1) or v (2) of head h, row b, column t. */
function at(t: number, b: number, part: number, h: number, { B, H }: AttentionCpuAttrs, D: number): number {
  return (t * B + b) * 3 * H * D + part * H * D + h * D;
}

/** softmax(q·k / sqrt(D)) over the keys [first, t] of one query; empty for a pad query. */
function weights(qkv: Arr, attrs: AttentionCpuAttrs, D: number, t: number, b: number, h: number): number[] {
  const scores: number[] = [];
  for (let s = attrs.first[b]!; s <= t; s++) {
    let score = 0;
    for (let d = 0; d < D; d++)
      score += qkv.data[at(t, b, 0, h, attrs, D) + d]! * qkv.data[at(s, b, 1, h, attrs, D) + d]!;
    scores.push(score / Math.sqrt(D));
  }
  const top = Math.max(...scores);
  const exps = scores.map(score => Math.exp(score - top));
  const sum = exps.reduce((a, e) => a + e, 0);
  return exps.map(e => e / sum);
}

/** out [T*B, C] in float64. */
export function attentionForward(qkv: Arr, attrs: AttentionCpuAttrs): Arr {
  const { B, H, first } = attrs;
  const [rows = 0, width = 0] = qkv.shape;
  const D = width / 3 / H;
  const out = arr([rows, H * D]);
  for (let t = 0; t < rows / B; t++)
    for (let b = 0; b < B; b++)
      for (let h = 0; h < H; h++)
        for (const [i, w] of weights(qkv, attrs, D, t, b, h).entries())
          for (let d = 0; d < D; d++)
            out.data[(t * B + b) * H * D + h * D + d]! +=
              w * kept(attrs, t, first[b]! + i, b, h) * qkv.data[at(first[b]! + i, b, 2, h, attrs, D) + d]!;
  return out;
}

/**
 * dqkv [T*B, 3C] in float64. `constant(t, s)` says that the key and value of column s are constants to the query
 * of column t: their gradient is dropped, as truncation does.
 */
export function attentionBackward(
  qkv: Arr,
  attrs: AttentionCpuAttrs,
  dOut: Arr,
  constant: (t: number, s: number) => boolean = () => false,
): Arr {
  const { B, H, first } = attrs;
  const [rows = 0, width = 0] = qkv.shape;
  const D = width / 3 / H;
  const x = qkv.data;
  const dqkv = arr(qkv.shape);
  for (let t = 0; t < rows / B; t++)
    for (let b = 0; b < B; b++)
      for (let h = 0; h < H; h++) {
        const w = weights(qkv, attrs, D, t, b, h);
        const g = dOut.data.subarray((t * B + b) * H * D + h * D, (t * B + b) * H * D + h * D + D);
        const q = at(t, b, 0, h, attrs, D);
        const key = (i: number): number => at(first[b]! + i, b, 1, h, attrs, D);
        const value = (i: number): number => at(first[b]! + i, b, 2, h, attrs, D);
        const keeps = w.map((_, i) => kept(attrs, t, first[b]! + i, b, h));
        // forward: out = sum_i kept_i w_i v_i
        const dw = w.map((_, i) => keeps[i]! * g.reduce((sum, gd, d) => sum + gd * x[value(i) + d]!, 0));
        // forward: w = softmax(score), score_i = q·k_i / sqrt(D)
        const mean = w.reduce((sum, wi, i) => sum + wi * dw[i]!, 0);
        for (const [i, wi] of w.entries()) {
          const dScore = (wi * (dw[i]! - mean)) / Math.sqrt(D);
          for (let d = 0; d < D; d++) {
            dqkv.data[q + d]! += dScore * x[key(i) + d]!;
            if (constant(t, first[b]! + i)) continue;
            dqkv.data[key(i) + d]! += dScore * x[q + d]!;
            dqkv.data[value(i) + d]! += keeps[i]! * wi * g[d]!;
          }
        }
      }
  return dqkv;
}

export const attentionCase: OpCase<AttentionDims, AttentionCpuAttrs> = {
  name: 'attention',
  op: attention,
  dims: fc.record({
    B: fc.integer({ min: 1, max: 3 }),
    T: fc.integer({ min: 1, max: 11 }),
    H: fc.integer({ min: 1, max: 3 }),
    // Few widths, since each compiles its kernels; none but 4 and 8 is a multiple of anything.
    D: fc.constantFrom(1, 3, 4, 5, 8, 17),
  }),
  fixed: [
    { B: 1, T: 1, H: 1, D: 1 },
    { B: 1, T: 2, H: 1, D: 1 },
    { B: 3, T: 1, H: 3, D: 5 },
    { B: 2, T: 4, H: 1, D: 3 },
    { B: 3, T: 13, H: 3, D: 5 },
    { B: 5, T: 8, H: 2, D: 16 },
    { B: 1, T: 31, H: 1, D: 17 },
    { B: 1, T: 6, H: 1, D: 128 },
    { B: 2, T: 70, H: 1, D: 8 },
    { B: 2, T: 101, H: 3, D: 4 },
  ],
  bench: [
    { B: 16, T: 128, H: 4, D: 32 },
    { B: 16, T: 24, H: 4, D: 24 },
    { B: 2, T: 256, H: 2, D: 64 },
    { B: 32, T: 1, H: 4, D: 24 },
    { B: 16, T: 1, H: 4, D: 24 },
    { B: 1, T: 1, H: 12, D: 64 },
  ],
  cpuAttrs: ({ B, T, H }, random) => ({ B, H, first: randomFirst(B, T, random) }),
  benchAttrs: ({ B, H }) => ({ B, H, first: new Uint32Array(B) }),
  inputs: ({ B, T, H, D }, random) => ({ qkv: normal([T * B, 3 * H * D], random) }),
  forward: ({ qkv }, attrs) => attentionForward(qkv!, attrs),
  backward: ({ qkv }, attrs, dOut) => ({ qkv: attentionBackward(qkv!, attrs, dOut) }),
  attrs(gpu, { B, H, first }, { T, D }, storage = 'f32') {
    const store = KvStore.create(gpu, { columns: T, B, C: H * D, dtype: storage });
    const columns = upload(gpu, first, [B]);
    const { records } = store.record(0, 0, T, H);
    return {
      attrs: { store, t0: 0, first: columns, heads: H },
      owned: { qkv: store.qkv, records, first: columns },
    };
  },
  // A query sees (T+1)/2 keys on average, each 2D multiply-adds; qkv is read, k and v stored, out written.
  cost: ({ B, T, H, D }) => ({
    flops: 2 * B * H * T * (T + 1) * D,
    bytes: 4 * B * T * H * D * (3 + 2 + 1),
  }),
  // Five products for the forward's two: the scores again, and those of the gradients of weights, v, q and k. qkv, out
  // and dOut are read, dqkv is written.
  backwardCost: ({ B, T, H, D }) => ({
    flops: 5 * B * H * T * (T + 1) * D,
    bytes: 4 * B * T * H * D * (3 + 1 + 1 + 3),
  }),
  variants: {
    attribute: 'form',
    names: (gpu, { T }) => [
      'plain',
      ...(gpu.features.has('subgroups') ? ['quad', 'joint'] : []),
      ...(T === 1 ? ['column'] : []),
    ],
  },
};
