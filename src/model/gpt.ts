// GPT-2's blocks over a range of columns, in Hugging Face's names, shapes and numerics. Knows parameters, ops and
// the K/V store; knows no tokens and no recurrence.
import type { Gpu } from '../gpu/gpu.ts';
import { attention, KvStore } from '../ops/attention.ts';
import { type Late, LateGradients, LateSums } from '../ops/late.ts';
import { layernorm } from '../ops/layernorm.ts';
import { type LinearAttrs, linear } from '../ops/linear.ts';
import { matmul } from '../ops/matmul.ts';
import { mlp } from '../ops/mlp.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import type { ModelConfig } from './config.ts';
import type { Parameters } from './parameters.ts';

/** What passes of one column leave for `settle`, by the name of the parameters' layer. */
interface LateStores {
  readonly maps: ReadonlyMap<string, LateGradients>;
  readonly norms: ReadonlyMap<string, LateSums>;
  /** Columns [from, to) whose passes leave something; passes are numbered from the last, backward. */
  readonly from: number;
  readonly to: number;
}

const MAPS = ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'];
const NORMS = ['ln_1', 'ln_2'];

/** A row's state across passes: a K/V store a layer, late parameter gradients, and the left pads of each batch row. */
export interface RowState {
  readonly stores: readonly KvStore[];
  readonly late: LateStores | undefined;
  /** u32 [B]: first real column. */
  readonly first: Tensor;
  readonly B: number;
}

/**
 * Stores for `columns` columns of B rows. `first` stays the caller's. `single` are the columns [from, to) that are
 * recorded as passes of their own: from two on, their parameter gradients are computed together, by `settle`.
 */
export function rowState(
  config: ModelConfig,
  first: Tensor,
  columns: number,
  single: { readonly from: number; readonly to: number } = { from: 0, to: 0 },
): RowState {
  const { gpu, size: B } = first;
  const stores = Array.from({ length: config.layers }, () =>
    KvStore.create(gpu, { columns, B, C: config.width }),
  );
  const passes = single.to - single.from;
  const names = (of: readonly string[]): string[] =>
    stores.flatMap((_, layer) => of.map(name => `h.${layer}.${name}`));
  const late: LateStores = {
    maps: new Map(names(MAPS).map(name => [name, new LateGradients(gpu, passes)])),
    norms: new Map([...names(NORMS), 'ln_f'].map(name => [name, new LateSums(gpu, passes)])),
    ...single,
  };
  return { stores, late: passes < 2 ? undefined : late, first, B };
}

/** Computes the parameter gradients that are left, after the backward of the row's passes. */
export function settle(state: RowState): void {
  for (const gradients of state.late?.maps.values() ?? []) gradients.settle();
  for (const sums of state.late?.norms.values() ?? []) sums.settle();
}

export function freeRowState(state: RowState): void {
  for (const store of state.stores) store.free();
  for (const gradients of state.late?.maps.values() ?? []) gradients.free();
  for (const sums of state.late?.norms.values() ?? []) sums.free();
}

/**
 * Batch rows of `columns` columns whose widest activation (qkv, or the MLP's hidden layer) one binding can span, at
 * least 1: what is run at once is cut to this, so no activation meets the device's limit unless a single row does.
 */
export function rowsThatFit(gpu: Gpu, { width, inner }: ModelConfig, columns: number): number {
  return Math.max(1, Math.floor(gpu.limits.maxBinding / (4 * columns * Math.max(3 * width, inner))));
}

export class Gpt {
  readonly config: ModelConfig;
  readonly parameters: Parameters;

  constructor(parameters: Parameters) {
    this.config = parameters.config;
    this.parameters = parameters;
  }

  /** A parameter by its name below `transformer.`. */
  parameter(name: string): Tensor {
    return this.parameters.get(`transformer.${name}`);
  }

  /**
   * Runs all blocks and the final LayerNorm over columns [t0, t0 + rows/B). x [Tp·B, C] are input embeddings,
   * positions included. Returns the last hidden states of columns from `from` on, [(t0+Tp-from)·B, C]: those
   * before it serve only as keys and values, so the last block's output is not computed for them.
   */
  forward(tape: Tape, x: Tensor, state: RowState, t0: number, from = t0): Tensor {
    const late = latePass(state, x, t0);
    let h = x;
    for (let layer = 0; layer < this.config.layers; layer++) {
      const skip = layer === this.config.layers - 1 ? (from - t0) * state.B : 0;
      const input = h;
      const block = () => this.#block(tape, layer, input, state, t0, skip, late);
      h = tape.gpu.scope(`block ${layer}`, () => tape.tidy(block));
    }
    return this.#norm(tape, h, 'ln_f', late);
  }

  /** Logits of hidden states: hidden [R, C] times the transposed token embedding, [R, V]. */
  logits(tape: Tape, hidden: Tensor): Tensor {
    return tape.apply(matmul, { a: hidden, b: this.parameter('wte.weight') }, { transposeB: true });
  }

  #block(
    tape: Tape,
    layer: number,
    x: Tensor,
    state: RowState,
    t0: number,
    skip: number,
    late: LatePass | undefined,
  ): Tensor {
    const name = `h.${layer}`;
    const normed = this.#norm(tape, x, `${name}.ln_1`, late);
    // Columns before `from` are keys and values only: no query, and nothing after the attention.
    const qkv = this.#linear(tape, normed, `${name}.attn.c_attn`, {
      late: late?.map(`${name}.attn.c_attn`),
      skip: skip > 0 ? { rows: skip, from: this.config.width } : undefined,
    });
    const from = t0 + skip / state.B;
    const store = state.stores[layer]!;
    const attrs = { store, t0, from, first: state.first, heads: this.config.heads };
    const o = tape.apply(attention, { qkv }, attrs);
    const residual = skip > 0 ? dropRows(tape, x, skip) : x;
    const project = { late: late?.map(`${name}.attn.c_proj`) };
    const afterAttention = this.#linear(tape, o, `${name}.attn.c_proj`, project, residual);
    const [w1, b1] = this.#map(`${name}.mlp.c_fc`);
    const [w2, b2] = this.#map(`${name}.mlp.c_proj`);
    const inputs = { x: this.#norm(tape, afterAttention, `${name}.ln_2`, late), w1, b1, w2, b2 };
    const mlpAttrs = {
      late: late && { first: late.map(`${name}.mlp.c_fc`), second: late.map(`${name}.mlp.c_proj`) },
    };
    return tape.apply(mlp, { ...inputs, residual: afterAttention }, mlpAttrs);
  }

  #norm(tape: Tape, x: Tensor, name: string, late: LatePass | undefined): Tensor {
    const gamma = this.parameter(`${name}.weight`);
    const beta = this.parameter(`${name}.bias`);
    const attrs = { eps: this.config.layerNormEpsilon, late: late?.norm(name) };
    return tape.apply(layernorm, { x, gamma, beta }, attrs);
  }

  #linear(tape: Tape, x: Tensor, name: string, attrs: LinearAttrs, residual?: Tensor): Tensor {
    const [w, b] = this.#map(name);
    return tape.apply(linear, residual ? { x, w, b, residual } : { x, w, b }, attrs);
  }

  /** Weight and bias of a linear map. */
  #map(name: string): [Tensor, Tensor] {
    return [this.parameter(`${name}.weight`), this.parameter(`${name}.bias`)];
  }
}

/** Where a pass of one column leaves what its parameter gradients need. */
interface LatePass {
  map(name: string): Late<LateGradients>;
  norm(name: string): Late<LateSums>;
}

function latePass({ late, B }: RowState, x: Tensor, t0: number): LatePass | undefined {
  if (!late || x.shape[0] !== B || t0 < late.from || t0 >= late.to) return undefined;
  const pass = late.to - 1 - t0;
  return {
    map: name => ({ store: late.maps.get(name)!, pass }),
    norm: name => ({ store: late.norms.get(name)!, pass }),
  };
}

function dropRows(tape: Tape, x: Tensor, rows: number): Tensor {
  return tape.apply(sliceRows, { x }, { from: rows, to: x.shape[0]! });
}
