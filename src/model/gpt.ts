// GPT-2's blocks over a range of columns, in Hugging Face's names, shapes and numerics. Knows parameters, ops and
// the K/V store; knows no tokens and no recurrence.
import type { Gpu } from '../gpu/gpu.ts';
import { attention, KvStore } from '../ops/attention.ts';
import { LateGradients } from '../ops/late.ts';
import { layernorm } from '../ops/layernorm.ts';
import { linear } from '../ops/linear.ts';
import { matmul } from '../ops/matmul.ts';
import { mlp } from '../ops/mlp.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import type { ModelConfig } from './config.ts';
import type { Parameters } from './parameters.ts';

/** The linear maps of a block. */
const MAPS = ['qkv', 'projection', 'mlpFirst', 'mlpSecond'] as const;
type LateMaps = Readonly<Record<(typeof MAPS)[number], LateGradients>>;

/** A row's state across passes: a layer's K/V store and late weight gradients, and the left pads of each batch row. */
export interface RowState {
  readonly stores: readonly KvStore[];
  /** Empty where no pass keeps rows. */
  readonly late: readonly LateMaps[];
  /** u32 [B]: first real column. */
  readonly first: Tensor;
  readonly B: number;
}

/**
 * Stores for `columns` columns of B rows. `first` stays the caller's. `late` is the number of passes of one column:
 * from two on, their weight gradients are computed together, by `settle`.
 */
export function rowState(config: ModelConfig, first: Tensor, columns: number, late = 0): RowState {
  const { gpu, size: B } = first;
  const layers = Array.from({ length: config.layers });
  return {
    stores: layers.map(() => KvStore.create(gpu, { columns, B, C: config.width })),
    late: late < 2 ? [] : layers.map(() => lateMaps(gpu, late * B)),
    first,
    B,
  };
}

function lateMaps(gpu: Gpu, rows: number): LateMaps {
  return Object.fromEntries(MAPS.map(name => [name, new LateGradients(gpu, rows)])) as LateMaps;
}

/** Computes the weight gradients that are left, after the backward of the row's passes. */
export function settle(state: RowState): void {
  for (const maps of state.late) for (const gradients of Object.values(maps)) gradients.settle();
}

export function freeRowState(state: RowState): void {
  for (const store of state.stores) store.free();
  for (const maps of state.late) for (const gradients of Object.values(maps)) gradients.free();
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
    let h = x;
    for (let layer = 0; layer < this.config.layers; layer++) {
      const skip = layer === this.config.layers - 1 ? (from - t0) * state.B : 0;
      const input = h;
      const block = () => this.#block(tape, layer, input, state, t0, skip);
      h = tape.gpu.scope(`block ${layer}`, () => tape.tidy(block));
    }
    return this.#norm(tape, h, 'ln_f');
  }

  /** Logits of hidden states: hidden [R, C] times the transposed token embedding, [R, V]. */
  logits(tape: Tape, hidden: Tensor): Tensor {
    return tape.apply(matmul, { a: hidden, b: this.parameter('wte.weight') }, { transposeB: true });
  }

  #block(tape: Tape, layer: number, x: Tensor, state: RowState, t0: number, skip: number): Tensor {
    const name = `h.${layer}`;
    const keep = x.shape[0] === state.B && t0 > 0;
    const late = (map: (typeof MAPS)[number]): LateGradients | undefined =>
      keep ? state.late[layer]?.[map] : undefined;
    const normed = this.#norm(tape, x, `${name}.ln_1`);
    const qkv = this.#linear(tape, normed, `${name}.attn.c_attn`, late('qkv'));
    const attrs = { store: state.stores[layer]!, t0, first: state.first, heads: this.config.heads };
    const heads = tape.apply(attention, { qkv }, attrs);
    const [o, residual] = skip > 0 ? [heads, x].map(y => dropRows(tape, y, skip)) : [heads, x];
    const afterAttention = this.#linear(tape, o!, `${name}.attn.c_proj`, late('projection'), residual!);
    const [w1, b1] = this.#map(`${name}.mlp.c_fc`);
    const [w2, b2] = this.#map(`${name}.mlp.c_proj`);
    const inputs = { x: this.#norm(tape, afterAttention, `${name}.ln_2`), w1, b1, w2, b2 };
    const [first, second] = [late('mlpFirst'), late('mlpSecond')];
    const attrs2 = { late: first && second && { first, second } };
    return tape.apply(mlp, { ...inputs, residual: afterAttention }, attrs2);
  }

  #norm(tape: Tape, x: Tensor, name: string): Tensor {
    const gamma = this.parameter(`${name}.weight`);
    const beta = this.parameter(`${name}.bias`);
    return tape.apply(layernorm, { x, gamma, beta }, { eps: this.config.layerNormEpsilon });
  }

  #linear(tape: Tape, x: Tensor, name: string, late: LateGradients | undefined, residual?: Tensor): Tensor {
    const [w, b] = this.#map(name);
    return tape.apply(linear, residual ? { x, w, b, residual } : { x, w, b }, { late });
  }

  /** Weight and bias of a linear map. */
  #map(name: string): [Tensor, Tensor] {
    return [this.parameter(`${name}.weight`), this.parameter(`${name}.bias`)];
  }
}

function dropRows(tape: Tape, x: Tensor, rows: number): Tensor {
  return tape.apply(sliceRows, { x }, { from: rows, to: x.shape[0]! });
}
