// What the recorded passes of one row leave for the gradients of their parameters, which are computed when the last of
// them has run backward. Knows the blocks' parameters by name and where each pass's rows lie; knows no tape, no batch.
import type { Gpu } from '../gpu/gpu.ts';
import { type EmbeddingPlans, LateEmbedding } from '../ops/embedding.ts';
import { type Late, LateGradients, LateSums } from '../ops/late.ts';
import { layernormBlocks } from '../ops/layernorm.ts';
import type { FloatType } from '../tensor.ts';
import type { ModelConfig } from './config.ts';

/**
 * Columns of a recorded pass: all, and those that the last block was computed for. These are 0 where their hidden
 * states get no gradient, as all that reads them is unrecorded.
 */
export interface PassColumns {
  readonly all: number;
  readonly read: number;
  /** Its blocks run again in the backward pass, so their parameters' gradients are computed at once too. */
  readonly recompute: boolean;
}

/** Where one pass leaves what the parameter gradients need. */
export interface LatePass {
  readonly embedding: Late<LateEmbedding>;
  /** By the parameters' name without `weight` and `bias`; undefined where nothing of this pass is kept. */
  map(name: string): Late<LateGradients> | undefined;
  norm(name: string): LateSums | undefined;
}

/** What of a model its passes' rows depend on. */
interface StoredModel {
  readonly config: ModelConfig;
  /** Type of activations. */
  readonly storage: FloatType;
}

interface LateMap {
  readonly store: LateGradients;
  /** Which of a pass's columns it sees. */
  readonly of: Columns;
}

type Columns = 'all' | 'read';

/**
 * The stores of a row's passes. A row of one pass has no use for them: its gradients are computed at once. So are those
 * of the linear maps in the first pass, the question: its rows are many enough for products of their own, and to keep
 * its output gradients would take a fifth to a third more memory at the peak; and all of a pass whose blocks run again,
 * as what they make is not to be kept.
 */
export class LateRow {
  readonly #maps = new Map<string, LateMap>();
  readonly #norms = new Map<string, LateSums>();
  readonly #embedding: LateEmbedding;
  readonly #passes: readonly PassColumns[];
  readonly #B: number;

  /** `passes` in the order of their columns; `plans` are of their rows, B a column, and stay the caller's. */
  constructor(
    gpu: Gpu,
    { config: { width: C, inner: I, layers }, storage }: StoredModel,
    B: number,
    passes: readonly PassColumns[],
    plans: EmbeddingPlans,
  ) {
    this.#passes = passes;
    this.#B = B;
    const all = passes.length;
    const map = (name: string, of: Columns, K: number, N: number): void => {
      const rows = this.#keptRows(of, all);
      this.#maps.set(name, { store: new LateGradients(gpu, rows, { K, N }, storage), of });
    };
    const norm = (name: string, of: Columns): void => {
      const kept = passes.filter(pass => !pass.recompute);
      const blocks = kept.reduce((sum, pass) => sum + layernormBlocks(gpu, B * pass[of], C), 0);
      this.#norms.set(name, new LateSums(gpu, blocks, C));
    };
    this.#embedding = new LateEmbedding(gpu, this.#rows(all), C, plans, storage);
    for (let layer = 0; layer < layers; layer++) {
      const name = `h.${layer}`;
      // In the last block the other columns are keys and values only.
      const after = layer === layers - 1 ? 'read' : 'all';
      norm(`${name}.ln_1`, 'all');
      map(`${name}.attn.c_attn`, 'all', C, 3 * C);
      map(`${name}.attn.c_proj`, after, C, C);
      norm(`${name}.ln_2`, after);
      map(`${name}.mlp.c_fc`, after, C, I);
      map(`${name}.mlp.c_proj`, after, I, C);
    }
    norm('ln_f', 'read');
  }

  /** The places of pass `index`. */
  pass(index: number): LatePass {
    const { recompute } = this.#passes[index]!;
    return {
      embedding: { store: this.#embedding, at: this.#rows(index) },
      map: name => {
        const { store, of } = this.#maps.get(name)!;
        const keeps = index > 0 && !recompute && this.#passes[index]![of] > 0;
        return keeps ? { store, at: this.#keptRows(of, index) } : undefined;
      },
      norm: name => (recompute ? undefined : this.#norms.get(name)!),
    };
  }

  /** Frees what the linear maps kept, when all passes but the first, of which they keep nothing, have run backward. */
  endMaps(): void {
    for (const { store } of this.#maps.values()) store.end();
  }

  /** Frees what was kept. Call it after the backward. */
  end(): void {
    this.#embedding.end();
    this.endMaps();
    for (const sums of this.#norms.values()) sums.end();
  }

  /** Rows of the passes before `to`. */
  #rows(to: number): number {
    return this.#B * this.#passes.slice(0, to).reduce((sum, { all }) => sum + all, 0);
  }

  /** Rows of those of them that linear maps keep. */
  #keptRows(of: Columns, to: number): number {
    const kept = this.#passes.slice(1, to).filter(pass => !pass.recompute);
    return this.#B * kept.reduce((sum, pass) => sum + pass[of], 0);
  }
}
