// Causal multi-head attention of one pass over columns [t0, t1) of a row, against a K/V store of all columns.
// Knows the store's layout and which form of the kernels an adapter runs; knows no projections: qkv comes in.
import { copyRange } from '../flat.ts';
import type { Gpu, Launch } from '../gpu/gpu.ts';
import type { Constants } from '../gpu/shader.ts';
import type { Op } from '../tape.ts';
import { type DType, empty, type Tensor } from '../tensor.ts';
import { lanes } from './launch.ts';
import { dropBound, type SiteMasks } from './masks.ts';
import { SharedRows } from './shared-rows.ts';

/**
 * Keys and values of a layer for every column of the batch, and what the backward of a pass leaves for the keys
 * and values of earlier passes.
 *
 * `qkv` is time-major: rows s*B + b of 3C values, of which earlier passes' k and v are read. Passes append their
 * columns in order: the product that makes qkv may write it here (`place`), so that nothing is copied. Queries lie
 * idle in it once their pass is over; without them each pass would copy its keys and values.
 *
 * Backwards run last to first. Each leaves a record of its queries (q, dOut, log-sum-exp, delta), so that an
 * earlier pass finds all queries that saw its keys and computes their gradients once, complete. The alternative,
 * gradient stores that every pass adds to, reads and writes all earlier columns for each latent column. A pass
 * that was not recorded leaves no record and collects no gradient: its keys and values are constants.
 *
 * A pass may begin inside the one before it and write over the keys and values of the columns that both have. The
 * earlier pass alone saw what was there, and puts it back for its backward; its records come in addition to one a
 * column.
 */
export class KvStore {
  readonly columns: number;
  readonly B: number;
  readonly C: number;
  readonly #rows: SharedRows;
  #gpu: Gpu;
  #records: Tensor | undefined;
  /** Columns that recorded passes ran and later ones run again. */
  #again = 0;
  /** Columns of the first pass, whose records are left out until it runs backward. */
  readonly #apart: number;
  /** As many columns of records are filled, from the end; columns from `earliest` on have run backward. */
  #filled = 0;
  #earliest: number;

  /** Room for `columns` columns of `B` rows, keys and values `C` wide. Contents are undefined until appended. */
  static create(gpu: Gpu, size: StoreSize): KvStore {
    return new KvStore(gpu, size);
  }

  constructor(gpu: Gpu, { columns, B, C, apart = 0, dtype }: StoreSize) {
    this.#gpu = gpu;
    this.#apart = apart;
    this.columns = columns;
    this.B = B;
    this.C = C;
    this.#earliest = columns;
    this.#rows = new SharedRows(gpu, columns * B, 3 * C, dtype);
  }

  /** Queries, keys and values of all columns: [columns*B, 3C]. */
  get qkv(): Tensor {
    return this.#rows.all;
  }

  /** Where the qkv of `rows` rows from column t0 on belongs; undefined where the device cannot bind it there. */
  place(t0: number, rows: number): Tensor | undefined {
    return this.#rows.place(t0 * this.B, rows);
  }

  /** Appends the qkv of columns from t0 on, unless it was written here; the last `again` of them will be run again. */
  append(t0: number, qkv: Tensor, again = 0): void {
    this.#rows.put(t0 * this.B, qkv);
    this.#again += again;
  }

  /** Puts the qkv of columns from t0 on back, where a later pass wrote over it. */
  restore(t0: number, qkv: Tensor): void {
    this.#rows.put(t0 * this.B, qkv);
  }

  /**
   * Room for the records of the queries of columns [from, t1) of the pass from t0, of which a later pass has run those
   * from `settled` on again. Gives the tensor [(columns + again)*B, heads, 2D+4], made at the first backward so that
   * inference pays nothing; the `shift` by which column t lies in row t + shift; `ownEnd`, where the records of the pass
   * end; and `end`, where those of later passes do. Filled rows stay at the end; unrecorded passes take none, hence the
   * shift. The first pass (t0 = 0) ends the step.
   */
  record(t0: number, from: number, t1: number, heads: number, settled = t1): Records {
    if (settled > this.#earliest)
      throw new Error(
        `attention: columns [${t0}, ${t1}) run backward after a pass from column ${this.#earliest}; ` +
          'passes run backward last to first, and reset() starts afresh',
      );
    // As many rows as passes that are still to come may fill; where the first comes apart, those that it does.
    const end = t0 < this.#apart ? this.#filled + t1 - from : this.columns + this.#again - this.#apart;
    const ownEnd = end - this.#filled;
    const width = this.B * (2 * this.C + 4 * heads);
    const before = this.#records;
    if (!before || before.size !== end * width) {
      this.#records = empty(this.#gpu, [end * this.B, heads, (2 * this.C) / heads + 4]);
      const kept = t0 < this.#apart ? this.#filled * width : 0;
      if (before && kept > 0) copyRange(before, before.size - kept, this.#records, end * width - kept, kept);
      before?.free();
    }
    this.#filled += t1 - from;
    this.#earliest = t0;
    if (t0 === 0) this.reset();
    return { records: this.#records!, shift: u32(ownEnd - t1), ownEnd, end };
  }

  /** Forgets the records, where a step ended without the backward of its first pass. */
  reset(): void {
    this.#again = 0;
    this.#filled = 0;
    this.#earliest = this.columns;
  }

  free(): void {
    this.#rows.free();
    this.#records?.free();
    this.#records = undefined;
  }
}

export interface StoreSize {
  readonly columns: number;
  readonly B: number;
  readonly C: number;
  /**
   * Columns of the first pass, if its records are to have no room before it runs backward itself: less memory until
   * then, for a copy of those of the other passes. 0, the default: there is room for all from the start.
   */
  readonly apart?: number;
  /** Type of queries, keys and values, f32 by default. Records are of f32: they hold log-sum-exps. */
  readonly dtype?: DType;
}

/** Kernels add a shift as they do unsigned numbers: one below 0 wraps. */
function u32(shift: number): number {
  return shift >>> 0;
}

/** Where the records of a pass's queries lie: rows of columns, those of later passes after its own. */
export interface Records {
  readonly records: Tensor;
  readonly shift: number;
  readonly ownEnd: number;
  readonly end: number;
}

/**
 * Forms of the kernels. `plain`: a thread a query (or key), any adapter. `quad`: four lanes share what they load;
 * needs the feature `subgroups`. `joint`: quads whose backward is one kernel, for f32 and passes from the first column
 * on; the quad form elsewhere. `column`: for one query a head, by fours, with one kernel backward. Where D is no multiple
 * of 4, weights are dropped out, or `column` is asked for and there are more queries, the form is the plain one.
 */
export type AttentionForm = 'plain' | 'quad' | 'joint' | 'column';

export interface AttentionAttrs {
  readonly store: KvStore;
  /** First column of the pass; its number of columns is that of qkv's rows over B. */
  readonly t0: number;
  /** First column whose output is wanted, t0 by default: those before it serve as keys and values only. */
  readonly from?: number;
  /**
   * Columns from here on are run again by the next pass, which begins here: the keys and values that this pass gives
   * them are seen by its own queries alone. t1 by default: there are none. Of recorded passes only.
   */
  readonly settled?: number | undefined;
  /** u32 [B]: the first real column of each row. Keys before it (left pads) are seen by no query. */
  readonly first: Tensor;
  readonly heads: number;
  /** Where the output goes, of its size; by default memory of its own. */
  readonly out?: Tensor | undefined;
  /** Dropout of the weights; by default there is none. Only the plain form has it. */
  readonly masks?: SiteMasks | undefined;
  /** Forces a form; by default the faster one on this adapter. */
  readonly form?: AttentionForm;
}

/**
 * Head widths up to this are written out. SwiftShader's compile time grows with the square of the text: all three
 * kernels take 0.4 s at D = 16, 4 s at 64, 20 s at 128.
 */
const UNROLL_LIMIT = 64;

/**
 * From so many queries (or keys) a head on, a lane has two: a fifth to a quarter less time, for twice the text, which
 * llvmpipe compiles in 11 s instead of 4 (D = 32, once: Mesa keeps it) and SwiftShader in 1.5 instead of 0.7.
 */
const PAIRED = 64;

/**
 * From so many columns on, heads of up to 32 take the joint form. Its backward needs 0.69 to 0.78 of the time of the two
 * kernels on llvmpipe and 0.83 to 0.90 in SwiftShader (B 16, T 128 and B 3, T 48, of 4 heads of 32), but with heads of 64
 * 1.2 times as much there. Shorter rows would win as much, and have another kernel to compile: two for their first pass
 * and, with thoughts, the quad form's two for the last.
 */
const JOINT = { columns: 48, D: 32 };

interface Sizes {
  readonly t0: number;
  readonly from: number;
  readonly settled: number;
  readonly t1: number;
  readonly B: number;
  readonly H: number;
  readonly D: number;
  readonly C: number;
}

/**
 * out [(t0+Tp-from)*B, C] of qkv [Tp*B, 3C] (row (t-t0)*B + b: q, k, v, each its heads side by side), for columns
 * [t0, t0+Tp): softmax(q·kᵀ / sqrt(D)) v over the keys [first[b], t] of the store, to which the pass's own
 * keys and values are appended first. Head width D = C/H is 1 to 128. Columns before `first` give zeros, those before `from` nothing.
 * With `masks` the weights are dropped out: each is kept, 1 / (1 - rate) times, or 0, as `keepsWeight` in masks.ts says.
 * Formula: Vaswani et al. 2017 (arXiv 1706.03762) eq. 1; as FlashAttention-2 (arXiv 2307.08691) computes it.
 *
 * The backward of every recorded pass must run, last to first, even where nothing but its keys and values was used.
 */
export const attention: Op<{ qkv: Tensor }, AttentionAttrs, { lse: Tensor }> = {
  name: 'attention',
  // The gradient of the store's earlier columns is carried by the store, not by the tape.
  sideEffect: true,

  forward(gpu, { qkv }, attrs) {
    const sizes = check(qkv, attrs);
    const { t0, from, t1, B, H, D, C } = sizes;
    const { store } = attrs;
    store.append(t0, qkv, t1 - sizes.settled);
    // out, lse = softmax(q · kᵀ * scale) · v
    const output = attrs.out ?? empty(gpu, [(t1 - from) * B, C], qkv.dtype);
    const lse = empty(gpu, [(t1 - from) * B, H]);
    const bind = { qkv: store.qkv, first: attrs.first, out: output, lse };
    const dropped = droppedBy(attrs);
    const queries = t1 - from;
    const form = formFor(gpu, queries, D, attrs);
    const common = { B, H, scale: D ** -0.5 };
    const params = { t1, start: from, ...common };
    if (form === 'column')
      gpu.run('attention-forward-column', bind, { t: from, ...common }, threads(gpu, queries, sizes));
    else if (form === 'quad' || form === 'joint')
      gpu.run('attention-forward-quad', bind, params, tiles(gpu, queries, sizes));
    else {
      const how = threads(gpu, queries, sizes, dropped.consts);
      gpu.run('attention-forward', { ...bind, ...dropped.bind }, { ...params, ...dropped.params }, how);
    }
    return { output, saved: { lse } };
  },

  backward(gpu, { inputs: { qkv }, attrs, output, saved: { lse } }, dOutput, d) {
    const { store, first } = attrs;
    const sizes = check(qkv, attrs);
    const { t0, from, t1, settled, B, H, D } = sizes;
    const { records, shift, ownEnd, end } = store.record(t0, from, t1, H, settled);
    const again = settled < t1;
    if (again) store.restore(t0, qkv);
    const ADD = d.qkv?.beta === 1;
    // Earlier passes need the records even where this one's gradient is not wanted.
    const dqkv = d.qkv?.tensor ?? empty(gpu, qkv.shape, qkv.dtype);
    // forward: out, lse = softmax(q · kᵀ * scale) · v
    const scale = D ** -0.5;
    const bind = { qkv: store.qkv, out: output, dOut: dOutput, lse, dqkv, records };
    const dropped = droppedBy(attrs);
    const seen = { qkv: store.qkv, first, records, dqkv };
    const plainSeen = { ...seen, ...dropped.bind };
    const pass = { t0, t1, start: from, B, H, shift };
    // A later pass that runs columns again has its queries see the keys that it gives them.
    const seenTo = again ? ownEnd : end;
    const form = formFor(gpu, t1 - t0, D, attrs);
    if (form === 'column') {
      const params = { t: t0, B, H, scale, shift, end };
      gpu.run('attention-backward-column', { ...bind, first }, params, threads(gpu, 1, sizes, { ADD }));
    } else if (form === 'joint' && t0 === 0 && qkv.dtype === 'f32') {
      // dq is added to many times over, for which the 11 bits of f16 are too few.
      const whole = { t1, start: from, B, H, scale, shift };
      gpu.run('attention-records', bind, whole, threads(gpu, t1 - from, sizes, { ADD }));
      const params = { ...whole, own: ownEnd, end: seenTo };
      if (d.qkv) gpu.run('attention-backward-quad', seen, params, quads(gpu, t1, sizes, { ADD }));
    } else if (form === 'joint' || form === 'quad') {
      gpu.run(
        'attention-dq-quad',
        { ...bind, first },
        { ...pass, scale },
        tiles(gpu, t1 - from, sizes, { ADD }),
      );
      const params = { ...pass, end: seenTo };
      if (d.qkv) gpu.run('attention-dkv-quad', seen, params, tiles(gpu, t1 - t0, sizes, { ADD }));
    } else {
      const consts = { ADD, ...dropped.consts };
      const dq = { ...pass, scale, ...dropped.params };
      const dkv = { ...pass, end: seenTo, ...dropped.params };
      const queries = threads(gpu, t1 - from, sizes, consts);
      gpu.run('attention-dq', { ...bind, first, ...dropped.bind }, dq, queries);
      if (d.qkv) gpu.run('attention-dkv', plainSeen, dkv, threads(gpu, t1 - t0, sizes, consts));
    }
    if (d.qkv && again && end > ownEnd) {
      // The columns that no later pass ran again are seen by later queries too.
      const later = { t0, t1: settled, start: settled - 1, B, H, shift: u32(ownEnd - settled + 1), end };
      const how = threads(gpu, settled - t0, sizes, { ADD: true, ...dropped.consts });
      gpu.run('attention-dkv', plainSeen, { ...later, ...dropped.params }, how);
    }
    if (!d.qkv) dqkv.free();
  },
};

/**
 * The form for `columns` queries (or keys) a head. The quad forms win where loads are dear, on CPU-run adapters, unless there is one query a head: then its other three lanes would idle.
 */
function formFor(
  gpu: Gpu,
  columns: number,
  D: number,
  { form: asked, masks }: Pick<AttentionAttrs, 'form' | 'masks'>,
): AttentionForm {
  const shared = columns >= JOINT.columns && D <= JOINT.D ? 'joint' : 'quad';
  const many = gpu.cpuRun && gpu.features.has('subgroups') ? shared : 'plain';
  const wanted = asked ?? (columns === 1 ? 'column' : many);
  return masks || D % 4 > 0 || (wanted === 'column' && columns > 1) ? 'plain' : wanted;
}

/** A thread each query (or key) of a head. */
function threads(gpu: Gpu, columns: number, { B, H, D }: Sizes, more: Constants = {}): Launch {
  const WG = lanes(gpu);
  const groups = Math.ceil((columns * B * H) / WG);
  return { groups, consts: { D, WG, ...more }, unroll: D <= UNROLL_LIMIT };
}

/** A workgroup each tile of queries (or keys) of a head. */
function tiles(gpu: Gpu, columns: number, { B, H, D }: Sizes, more: Constants = {}): Launch {
  const WG = lanes(gpu);
  const Q = columns >= PAIRED ? 2 : 1;
  const groups = Math.ceil(columns / (WG * Q)) * B * H;
  return { groups, consts: { D, WG, Q, ...more }, unroll: D <= UNROLL_LIMIT };
}

/** A quad each head of a row. */
function quads(gpu: Gpu, columns: number, { B, H, D }: Sizes, more: Constants): Launch {
  const WG = lanes(gpu);
  const Q = columns >= PAIRED ? 2 : 1;
  const groups = B * Math.ceil(H / (WG / 4));
  return { groups, consts: { D, WG, Q, ...more }, unroll: D <= UNROLL_LIMIT };
}

/** What the plain kernels take beside the rest: keys and rate of the dropout, or something to bind where there is none. */
function droppedBy({ masks, store }: AttentionAttrs) {
  const params = { site: 0, bound: 0, grow: 1 };
  if (!masks) return { bind: { keys: { range: store.qkv.range } }, params, consts: {} };
  const { rate, keys, site } = masks;
  return {
    bind: { keys },
    params: { site, bound: dropBound(rate), grow: 1 / (1 - rate) },
    consts: { DROP: true },
  };
}

function check(qkv: Tensor, attrs: AttentionAttrs): Sizes {
  const { store, t0, first, heads, from = t0 } = attrs;
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
  if (!Number.isInteger(from) || from < t0 || from >= t1)
    throw new Error(`attention: no outputs from column ${from} in [${t0}, ${t1})`);
  if (first.size !== B || first.dtype !== 'u32')
    throw new Error(`attention: first must be u32 [B]: ${shapes}`);
  const { settled = t1 } = attrs;
  if (!Number.isInteger(settled) || settled <= t0 || settled > t1)
    throw new Error(`attention: columns from ${settled} on of [${t0}, ${t1}) cannot be run again`);
  return { t0, from, t1, settled, B, H: heads, D, C };
}
