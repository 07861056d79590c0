// What the recorded passes of one row leave for the gradients of their parameters, which are computed when all have
// run backward. Knows the blocks' parameters by name and where each pass's rows lie; knows no tape and no batch.
import type { Gpu } from '../gpu/gpu.ts';
import { type EmbeddingPlans, LateEmbedding } from '../ops/embedding.ts';
import { type Late, LateGradients, LateSums } from '../ops/late.ts';
import { layernormBlocks } from '../ops/layernorm.ts';
import type { ModelConfig } from './config.ts';

/**
 * Columns of a recorded pass: all, and those that the last block was computed for. These are 0 where their hidden
 * states get no gradient, as all that reads them is unrecorded.
 */
export interface PassColumns {
  readonly all: number;
  readonly read: number;
}

/** Where one pass leaves what the parameter gradients need. */
export interface LatePass {
  readonly embedding: Late<LateEmbedding>;
  /** By the parameters' name without `weight` and `bias`; undefined where they get no gradient from this pass. */
  map(name: string): Late<LateGradients> | undefined;
  norm(name: string): LateSums;
}

interface LateMap {
  readonly store: LateGradients;
  /** Which of a pass's columns it sees. */
  readonly of: keyof PassColumns;
}

/** The stores of a row's passes. A row of one pass has no use for them: its gradients are computed at once. */
export class LateRow {
  readonly #maps = new Map<string, LateMap>();
  readonly #norms = new Map<string, LateSums>();
  readonly #embedding: LateEmbedding;
  readonly #passes: readonly PassColumns[];
  readonly #B: number;

  /** `passes` in the order of their columns; `plans` are of their rows, B a column, and stay the caller's. */
  constructor(
    gpu: Gpu,
    { width: C, inner: I, layers }: ModelConfig,
    B: number,
    passes: readonly PassColumns[],
    plans: EmbeddingPlans,
  ) {
    this.#passes = passes;
    this.#B = B;
    const rows = (of: keyof PassColumns): number => B * passes.reduce((sum, pass) => sum + pass[of], 0);
    const map = (name: string, of: keyof PassColumns, K: number, N: number): void => {
      this.#maps.set(name, { store: new LateGradients(gpu, rows(of), { K, N }), of });
    };
    const norm = (name: string, of: keyof PassColumns): void => {
      const blocks = passes.reduce((sum, pass) => sum + layernormBlocks(gpu, B * pass[of], C), 0);
      this.#norms.set(name, new LateSums(gpu, blocks, C));
    };
    this.#embedding = new LateEmbedding(gpu, rows('all'), C, plans);
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
    const at = (of: keyof PassColumns): number =>
      this.#B * this.#passes.slice(0, index).reduce((sum, pass) => sum + pass[of], 0);
    return {
      embedding: { store: this.#embedding, at: at('all') },
      map: name => {
        const { store, of } = this.#maps.get(name)!;
        return this.#passes[index]![of] > 0 ? { store, at: at(of) } : undefined;
      },
      norm: name => this.#norms.get(name)!,
    };
  }

  /** Computes the gradients, after the backward of all passes. */
  settle(): void {
    for (const store of this.#stores()) store.settle();
  }

  free(): void {
    for (const store of this.#stores()) store.free();
  }

  #stores(): (LateEmbedding | LateGradients | LateSums)[] {
    const maps = [...this.#maps.values()].map(({ store }) => store);
    return [this.#embedding, ...maps, ...this.#norms.values()];
  }
}
