// Causal multi-head attention of one pass over columns [t0, t1) of a row, against a K/V store of all columns.
// Knows the store's layout and which form of the kernels an adapter runs; knows no projections: qkv comes in.
import type { Gpu } from '../gpu/gpu.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';

/**
 * Keys and values of a layer for every column of the batch, and room for their gradients.
 *
 * Time-major rows s*B + b of 2C values, k then v, as they lie in qkv; one buffer for both keeps the backward
 * kernels within eight bindings. Passes append their columns in order. Their backwards run last to first: each
 * adds to the gradients of the columns before its own, and finds those of its own columns complete. A pass that
 * was not recorded never collects the gradients of its columns, which makes its keys and values constants.
 */
export class KvStore {
  readonly kv: Tensor;
  readonly columns: number;
  readonly B: number;
  readonly C: number;
  /** Columns [0, gradColumns) of the gradients hold sums of later passes; 0 before the first backward of a step. */
  gradColumns = 0;
  #gpu: Gpu;
  #dkv: Tensor | undefined;

  /** Room for `columns` columns of `B` rows, keys and values `C` wide. Contents are undefined until appended. */
  static create(gpu: Gpu, size: { columns: number; B: number; C: number }): KvStore {
    return new KvStore(gpu, size);
  }

  constructor(gpu: Gpu, { columns, B, C }: { columns: number; B: number; C: number }) {
    this.#gpu = gpu;
    this.columns = columns;
    this.B = B;
    this.C = C;
    this.kv = empty(gpu, [columns * B, 2 * C]);
  }

  /** Gradients of `kv`, of the same shape. Made when a pass after the first runs backward: inference needs none. */
  get dkv(): Tensor {
    this.#dkv ??= empty(this.#gpu, this.kv.shape);
    return this.#dkv;
  }

  /** Forgets accumulated gradients, where a step ended without the backward of its first pass. */
  reset(): void {
    this.gradColumns = 0;
  }

  free(): void {
    this.kv.free();
    this.#dkv?.free();
    this.#dkv = undefined;
  }
}

/**
 * Forms of the kernels. `plain`: a thread a query (or key), any adapter. `quad`: four lanes share what they load;
 * needs the feature `subgroups`.
 */
export type AttentionForm = 'plain' | 'quad';

export interface AttentionAttrs {
  readonly store: KvStore;
  /** First column of the pass; its number of columns is that of qkv's rows over B. */
  readonly t0: number;
  /** u32 [B]: the first real column of each row. Keys before it (left pads) are seen by no query. */
  readonly first: Tensor;
  readonly heads: number;
  /** Forces a form; by default the faster one on this adapter. */
  readonly form?: AttentionForm;
}

interface Sizes {
  readonly t0: number;
  readonly t1: number;
  readonly B: number;
  readonly H: number;
  readonly D: number;
  readonly C: number;
}

/**
 * out [Tp*B, C] of qkv [Tp*B, 3C] (row (t-t0)*B + b: q, k, v, each its heads side by side), for columns
 * [t0, t0+Tp): softmax(q·kᵀ / sqrt(D)) v over the keys [first[b], t] of the store, to which the pass's own
 * keys and values are appended first. Head width D = C/H is 1 to 128. Columns before `first` give zeros.
 * Formula: Vaswani et al. 2017 (arXiv 1706.03762) eq. 1; as FlashAttention-2 (arXiv 2307.08691) computes it.
 *
 * The gradient of the store's earlier columns is carried by `store`, not by the tape: so the backward of every
 * recorded pass must run, last to first, even where nothing but its keys and values was used.
 */
export const attention: Op<{ qkv: Tensor }, AttentionAttrs, { lse: Tensor }> = {
  name: 'attention',

  forward(gpu, { qkv }, attrs) {
    const sizes = check(qkv, attrs);
    const { t0, t1, B, H, D, C } = sizes;
    const { kv } = attrs.store;
    const rows = (t1 - t0) * B;
    // kv[t0:t1] = k, v
    const n = rows * 2 * C;
    gpu.run('kv_append', { qkv, kv }, { n, C, row0: t0 * B }, { groups: Math.ceil(n / 64) });
    // out, lse = softmax(q · kᵀ * scale) · v
    const output = empty(gpu, [rows, C]);
    const lse = empty(gpu, [rows, H]);
    const { kernel, how } = pick(gpu, 'attention_forward', sizes, t1 - t0, attrs.form);
    gpu.run(
      kernel,
      { qkv, kv, first: attrs.first, out: output, lse },
      { t0, t1, B, H, scale: D ** -0.5 },
      how,
    );
    return { output, saved: { lse } };
  },

  backward(gpu, { inputs: { qkv }, attrs, output, saved: { lse } }, dOutput, d) {
    const { store, first } = attrs;
    const sizes = check(qkv, attrs);
    const { t0, t1, B, H, D } = sizes;
    if (store.gradColumns > 0 && store.gradColumns < t1)
      throw new Error(
        `attention: columns [${t0}, ${t1}) run backward after a pass from column ${store.gradColumns}; ` +
          'passes run backward last to first, and reset() starts afresh',
      );
    // Earlier columns may need their gradient even where this pass's own do not.
    const dqkv = d.qkv?.tensor ?? empty(gpu, qkv.shape);
    const delta = empty(gpu, lse.shape);
    // A pass that is alone has no columns before it and none after it: nothing is read or written.
    const carries = t0 > 0 || store.gradColumns > 0;
    const dkv = carries ? store.dkv : empty(gpu, [1]);
    const params = { t0, t1, B, H, scale: D ** -0.5, beta: d.qkv?.beta ?? 0 };
    const inputs = { qkv, kv: store.kv, first, dOut: dOutput, lse };
    // forward: out, lse = softmax(q · kᵀ * scale) · v
    const dq = pick(gpu, 'attention_dq', sizes, t1 - t0, attrs.form);
    gpu.run(dq.kernel, { ...inputs, out: output, dqkv, delta }, params, dq.how);
    const dkvPick = pick(gpu, 'attention_dkv', sizes, t1, attrs.form);
    const accumulated = store.gradColumns > 0 ? 1 : 0;
    gpu.run(dkvPick.kernel, { ...inputs, delta, dqkv, dkv }, { ...params, accumulated }, dkvPick.how);
    store.gradColumns = t0;
    delta.free();
    if (!carries) dkv.free();
    if (!d.qkv) dqkv.free();
  },
};

/**
 * The kernel and launch for `columns` queries (or keys) of each row and head. The quad form wins where loads are
 * dear, on CPU-run adapters, unless there is one query a head: then its other three lanes would idle, while in
 * the plain form a quad's lanes are four heads.
 */
function pick(gpu: Gpu, name: string, { t0, t1, B, H, D }: Sizes, columns: number, form?: AttentionForm) {
  const shared = gpu.cpuRun && gpu.features.has('subgroups') && t1 - t0 > 1;
  const quad = (form ?? (shared ? 'quad' : 'plain')) === 'quad';
  const WG = gpu.cpuRun ? 4 : 64;
  const groups = quad ? Math.ceil(columns / WG) * B * H : Math.ceil((columns * B * H) / WG);
  return { kernel: quad ? `${name}_quad` : name, how: { groups, consts: { D, WG }, unroll: true } };
}

function check(qkv: Tensor, { store, t0, first, heads }: AttentionAttrs): Sizes {
  const { B, C, columns } = store;
  const D = C / heads;
  const [rows = 0, width = 0] = qkv.shape;
  const t1 = t0 + rows / B;
  const shapes = `qkv [${qkv.shape}], store of ${columns} columns × ${B} rows × ${C}, t0 ${t0}, first [${first.shape}]`;
  if (!Number.isInteger(D) || D < 1 || D > 128)
    throw new Error(`attention: ${C} channels over ${heads} heads is no head width of 1 to 128`);
  if (qkv.shape.length !== 2 || width !== 3 * C || !Number.isInteger(t1))
    throw new Error(`attention: qkv must be [columns*B, 3C]: ${shapes}`);
  if (!Number.isInteger(t0) || t0 < 0 || t1 > columns)
    throw new Error(`attention: columns [${t0}, ${t1}) are not in the store: ${shapes}`);
  if (first.size !== B || first.dtype !== 'u32')
    throw new Error(`attention: first must be u32 [B]: ${shapes}`);
  return { t0, t1, B, H: heads, D, C };
}
