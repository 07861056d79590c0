// GPT-2's blocks over a range of columns, in Hugging Face's names, shapes and numerics. Knows parameters, ops and
// the K/V store; knows no tokens and no recurrence.
import type { Gpu } from '../gpu/gpu.ts';
import { attention, KvStore } from '../ops/attention.ts';
import { dropout } from '../ops/dropout.ts';
import type { Late, LateGradients } from '../ops/late.ts';
import { layernorm } from '../ops/layernorm.ts';
import { linear } from '../ops/linear.ts';
import type { Masks } from '../ops/masks.ts';
import { matmul } from '../ops/matmul.ts';
import { mlp } from '../ops/mlp.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import type { Tape } from '../tape.ts';
import type { FloatType, Tensor } from '../tensor.ts';
import { HEAD, type ModelConfig } from './config.ts';
import type { LatePass } from './late-row.ts';
import type { Parameters } from './parameters.ts';

/** A row's state across passes: a K/V store a layer, and the left pads of each batch row. */
export interface RowState {
  readonly stores: readonly KvStore[];
  /** u32 [B]: first real column. */
  readonly first: Tensor;
  readonly B: number;
  /** Dropout while training, with keys for `maskSites` places; undefined: there is none. */
  readonly masks?: Masks | undefined;
}

/** Places of dropout, as in Hugging Face's GPT-2: the sum of the embeddings, and three a block. */
const SITES = { embedding: 0, weights: 1, attention: 2, mlp: 3, ofBlock: 3 } as const;

/** How many places a model has that dropout needs keys for. */
export function maskSites({ layers }: ModelConfig): number {
  return 1 + SITES.ofBlock * layers;
}

/** Stores for `columns` columns of B rows, the first `apart` as `StoreSize` says. `first` and `masks` stay the caller's. */
export function rowState(
  { config, storage }: Pick<Gpt, 'config' | 'storage'>,
  first: Tensor,
  columns: number,
  { apart = 0, masks }: { apart?: number; masks?: Masks | undefined } = {},
): RowState {
  const { gpu, size: B } = first;
  const stores = Array.from({ length: config.layers }, () =>
    KvStore.create(gpu, { columns, B, C: config.width, apart, dtype: storage }),
  );
  return { stores, first, B, masks };
}

export function freeRowState(state: RowState): void {
  for (const store of state.stores) store.free();
}

/**
 * Batch rows of `columns` columns whose widest activation (qkv, or the MLP's hidden layer) one binding can span, at
 * least 1: what is run at once is cut to this, so no activation meets the device's limit unless a single row does.
 */
export function rowsThatFit(gpu: Gpu, { width, inner }: ModelConfig, columns: number): number {
  return Math.max(1, Math.floor(gpu.limits.maxBinding / (4 * columns * Math.max(3 * width, inner))));
}

/** Which columns a forward pass runs, and what becomes of them. */
export interface ForwardOptions {
  /** The first column. */
  readonly t0: number;
  /** The first column whose hidden state is wanted, t0 by default: those before it serve only as keys and values. */
  readonly from?: number;
  /** Where parameter gradients are left; by default they are computed at once. */
  readonly late?: LatePass | undefined;
  /**
   * Columns from here on are run again by the next pass, which begins here; by default there are none, or nothing is
   * recorded.
   */
  readonly settled?: number | undefined;
  /** Of each block only the input is kept: it runs again in the backward pass. Not with `settled`. */
  readonly recompute?: boolean;
}

export class Gpt {
  readonly config: ModelConfig;
  readonly parameters: Parameters;
  /** Type that activations and their gradients are stored in; parameters, and all arithmetic, are of f32. */
  readonly storage: FloatType;

  /** `config` may differ from that of the parameters in what no parameter depends on. */
  constructor(parameters: Parameters, config = parameters.config, storage: FloatType = 'f32') {
    this.config = config;
    this.parameters = parameters;
    this.storage = storage;
  }

  /** A parameter by its name below `transformer.`. */
  parameter(name: string): Tensor {
    return this.parameters.get(`transformer.${name}`);
  }

  /**
   * Runs all blocks and the final LayerNorm over columns [t0, t0 + rows/B). x [Tp·B, C] are input embeddings,
   * positions included. Returns the last hidden states of columns from `from` on, [(t0+Tp-from)·B, C]; of those before
   * it the last block's output is not computed.
   */
  forward(tape: Tape, x: Tensor, state: RowState, options: ForwardOptions): Tensor {
    const { t0, from = t0, late, recompute = false } = options;
    let h = dropped(tape, x, undefined, state, SITES.embedding, t0);
    for (let layer = 0; layer < this.config.layers; layer++) {
      const skip = layer === this.config.layers - 1 ? (from - t0) * state.B : 0;
      const input = h;
      const store = state.stores[layer]!;
      const block = (again = false): Tensor => {
        // The first pass is the last to run backward, and its keys and values the last to be needed.
        if (again && t0 === 0) tape.whenReached(() => store.free());
        return this.#block(tape, layer, input, state, options, { skip, unread: again });
      };
      h = tape.gpu.scope(`block ${layer}`, () => (recompute ? tape.recompute(block) : tape.tidy(block)));
      // A row of one pass makes its keys and values again too.
      if (recompute && x.shape[0] === store.columns * state.B) store.free();
    }
    return this.#norm(tape, h, 'ln_f', late);
  }

  /** The LM head [V, C]: the token embedding, unless the model has weights of its own for it. */
  get head(): Tensor {
    return this.config.ownHead ? this.parameters.get(HEAD) : this.parameter('wte.weight');
  }

  /** Logits of hidden states: hidden [R, C] times the transposed head, [R, V]. */
  logits(tape: Tape, hidden: Tensor): Tensor {
    return tape.apply(matmul, { a: hidden, b: this.head }, { transposeB: true });
  }

  #block(
    tape: Tape,
    layer: number,
    x: Tensor,
    state: RowState,
    { t0, settled, late }: ForwardOptions,
    { skip, unread }: { readonly skip: number; readonly unread: boolean },
  ): Tensor {
    const name = `h.${layer}`;
    const maps = late && {
      qkv: late.map(`${name}.attn.c_attn`),
      project: late.map(`${name}.attn.c_proj`),
      first: late.map(`${name}.mlp.c_fc`),
      second: late.map(`${name}.mlp.c_proj`),
    };
    const store = state.stores[layer]!;
    const rows = x.shape[0]!;
    // Before the norm, so that its gradient is added after: what writes some rows first would have to clear the others.
    const residual = skip > 0 ? dropRows(tape, x, skip) : x;
    const normed = this.#norm(tape, x, `${name}.ln_1`, late, place(maps?.qkv, 'x', rows));
    // Columns before `from` are keys and values only: no query, and nothing after the attention.
    const qkvAttrs = {
      late: maps?.qkv,
      // What the next pass writes over must lie elsewhere too.
      out: settled === undefined ? store.place(t0, rows) : undefined,
      skip: skip > 0 ? { rows: skip, from: this.config.width } : undefined,
    };
    const qkvInputs = { x: normed, ...this.#map(`${name}.attn.c_attn`) };
    const qkv = tape.apply(linear, qkvInputs, qkvAttrs, place(maps?.qkv, 'dy', rows));
    const left = rows - skip;
    const from = t0 + skip / state.B;
    const site = SITES.ofBlock * layer;
    const attentionAttrs = {
      store,
      t0,
      from,
      settled,
      first: state.first,
      heads: this.config.heads,
      out: place(maps?.project, 'x', left),
      masks: state.masks && { ...state.masks, site: site + SITES.weights },
    };
    // The maps end with the residual sum, unless dropout comes between.
    const sum = (of: Tensor): { residual?: Tensor } => (state.masks ? {} : { residual: of });
    const projected = {
      x: tape.apply(attention, { qkv }, attentionAttrs),
      ...this.#map(`${name}.attn.c_proj`),
      ...sum(residual),
    };
    const projection = tape.apply(
      linear,
      projected,
      { late: maps?.project },
      place(maps?.project, 'dy', left),
    );
    const afterAttention = dropped(tape, projection, residual, state, site + SITES.attention, from);
    const { w: w1, b: b1 } = this.#map(`${name}.mlp.c_fc`);
    const { w: w2, b: b2 } = this.#map(`${name}.mlp.c_proj`);
    const inner = this.#norm(tape, afterAttention, `${name}.ln_2`, late, place(maps?.first, 'x', left));
    const inputs = { x: inner, w1, b1, w2, b2, ...sum(afterAttention) };
    const y = tape.apply(mlp, inputs, { late: maps, unread }, place(maps?.second, 'dy', left));
    return dropped(tape, y, afterAttention, state, site + SITES.mlp, from, unread);
  }

  #norm(tape: Tape, x: Tensor, name: string, late: LatePass | undefined, out?: Tensor): Tensor {
    const gamma = this.parameter(`${name}.weight`);
    const beta = this.parameter(`${name}.bias`);
    const attrs = { eps: this.config.layerNormEpsilon, late: late?.norm(name), out };
    return tape.apply(layernorm, { x, gamma, beta }, attrs);
  }

  /** Weight and bias of a linear map. */
  #map(name: string): { w: Tensor; b: Tensor } {
    return { w: this.parameter(`${name}.weight`), b: this.parameter(`${name}.bias`) };
  }
}

/** Where a pass's inputs of a map, or their output's gradients, are kept; undefined where they go anywhere. */
function place(late: Late<LateGradients> | undefined, side: 'x' | 'dy', rows: number): Tensor | undefined {
  return late?.store[side].place(late.at, rows);
}

/**
 * x after dropout, and the residual sum after that; x itself where there is no dropout, and the sum was made before.
 * Its first row is one of column t0.
 */
function dropped(
  tape: Tape,
  x: Tensor,
  residual: Tensor | undefined,
  { masks, first }: RowState,
  site: number,
  t0: number,
  unread = false,
): Tensor {
  if (!masks) return x;
  const inputs = residual ? { x, residual } : { x };
  return tape.apply(dropout, inputs, { masks: { ...masks, site }, first, t0, unread });
}

function dropRows(tape: Tape, x: Tensor, rows: number): Tensor {
  return tape.apply(sliceRows, { x }, { from: rows, to: x.shape[0]! });
}
