// GPT-2's blocks over a range of columns, in Hugging Face's names, shapes and numerics. Knows parameters, ops and
// the K/V store; knows no tokens and no recurrence.
import type { Gpu } from '../gpu/gpu.ts';
import { add } from '../ops/add.ts';
import { attention, KvStore } from '../ops/attention.ts';
import { gelu } from '../ops/gelu.ts';
import { layernorm } from '../ops/layernorm.ts';
import { linear, matmul } from '../ops/matmul.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import type { ModelConfig } from './config.ts';
import type { Parameters } from './parameters.ts';

/** A row's state across passes: one K/V store a layer, and the left pads of each batch row. */
export interface RowState {
  readonly stores: readonly KvStore[];
  /** u32 [B]: first real column. */
  readonly first: Tensor;
  readonly B: number;
}

/** Stores for `columns` columns of B rows. `first` stays the caller's. */
export function rowState(config: ModelConfig, first: Tensor, columns: number): RowState {
  const B = first.size;
  const stores = Array.from({ length: config.layers }, () =>
    KvStore.create(first.gpu, { columns, B, C: config.width }),
  );
  return { stores, first, B };
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
      h = tape.tidy(() => this.#block(tape, layer, input, state, t0, skip));
    }
    return this.#norm(tape, h, 'ln_f');
  }

  /** Logits of hidden states: hidden [R, C] times the transposed token embedding, [R, V]. */
  logits(tape: Tape, hidden: Tensor): Tensor {
    return tape.apply(matmul, { a: hidden, b: this.parameter('wte.weight') }, { transposeB: true });
  }

  #block(tape: Tape, layer: number, x: Tensor, state: RowState, t0: number, skip: number): Tensor {
    const name = `h.${layer}`;
    const qkv = this.#linear(tape, this.#norm(tape, x, `${name}.ln_1`), `${name}.attn.c_attn`);
    const attrs = { store: state.stores[layer]!, t0, first: state.first, heads: this.config.heads };
    const heads = tape.apply(attention, { qkv }, attrs);
    const [o, residual] = skip > 0 ? [heads, x].map(y => dropRows(tape, y, skip)) : [heads, x];
    const afterAttention = tape.apply(
      add,
      { a: residual!, b: this.#linear(tape, o!, `${name}.attn.c_proj`) },
      undefined,
    );
    const inner = this.#linear(tape, this.#norm(tape, afterAttention, `${name}.ln_2`), `${name}.mlp.c_fc`);
    const mlp = this.#linear(tape, tape.apply(gelu, { x: inner }, undefined), `${name}.mlp.c_proj`);
    return tape.apply(add, { a: afterAttention, b: mlp }, undefined);
  }

  #norm(tape: Tape, x: Tensor, name: string): Tensor {
    const gamma = this.parameter(`${name}.weight`);
    const beta = this.parameter(`${name}.bias`);
    return tape.apply(layernorm, { x, gamma, beta }, { eps: this.config.layerNormEpsilon });
  }

  #linear(tape: Tape, x: Tensor, name: string): Tensor {
    return tape.apply(
      linear,
      { x, w: this.parameter(`${name}.weight`), b: this.parameter(`${name}.bias`) },
      {},
    );
  }
}

function dropRows(tape: Tape, x: Tensor, rows: number): Tensor {
  return tape.apply(sliceRows, { x }, { from: rows, to: x.shape[0]! });
}
