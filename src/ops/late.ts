// Parameter gradients of several passes of a row, computed together. A latent column alone has as few rows as the
// batch, and a product of so few reads and writes the whole gradient for little arithmetic; so each pass leaves its
// rows beside those of the others, and one product takes them all when the last has run backward. Until then nothing
// else may write these gradients: what a first slot holds is undefined. Knows tensors; knows the passes by their rows
// only, and no tape.
import type { Gpu } from '../gpu/gpu.ts';
import type { Slot } from '../tape.ts';
import type { DType, Tensor } from '../tensor.ts';
import { type MatmulVariant, product } from './product.ts';
import { sumHalves } from './reduce.ts';
import { SharedRows } from './shared-rows.ts';

/** Where a pass leaves something: a store, and the pass's first row in it. */
export interface Late<T> {
  readonly store: T;
  readonly at: number;
}

/** What one linear map keeps of some passes: its inputs x [M, K] and its output gradients dy [M, N], both of `dtype`. */
export class LateGradients {
  readonly x: SharedRows;
  readonly dy: SharedRows;
  readonly #gpu: Gpu;
  #target: { readonly dw: Slot; readonly db: Slot | undefined } | undefined;

  constructor(gpu: Gpu, rows: number, { K, N }: { readonly K: number; readonly N: number }, dtype: DType) {
    this.#gpu = gpu;
    this.x = new SharedRows(gpu, rows, K, dtype);
    this.dy = new SharedRows(gpu, rows, N, dtype);
  }

  /**
   * Keeps a pass's rows, and once all are there computes dw = Xᵀ·dY [K, N] and db = the sums of dY [N]. They go to the
   * slots that were given first: those of later passes would add to what is written there.
   */
  keep(at: number, x: Tensor, dy: Tensor, dw: Slot, db: Slot | undefined): void {
    this.x.put(at, x);
    this.dy.put(at, dy);
    this.#target ??= { dw, db };
    if (this.x.complete) this.#gpu.scope('weights of all latents', () => this.#settle(this.#target!));
  }

  #settle({ dw, db }: { readonly dw: Slot; readonly db: Slot | undefined }): void {
    const X = { matrix: this.x.all, transposed: true };
    const dY = { matrix: this.dy.all, transposed: false };
    product(this.#gpu, X, dY, dw, { columnSums: db });
  }

  end(): void {
    this.x.end();
    this.dy.end();
  }
}

/** The same for a LayerNorm: its blocks' sums, [blocks, 2C], for gamma and beta side by side. */
export class LateSums {
  readonly #gpu: Gpu;
  readonly #parts: SharedRows;
  #target: { readonly gamma: Slot | undefined; readonly beta: Slot | undefined } | undefined;

  constructor(gpu: Gpu, blocks: number, C: number) {
    this.#gpu = gpu;
    this.#parts = new SharedRows(gpu, blocks, 2 * C);
  }

  /** Where the next pass may write its sums; undefined where the device cannot bind them there. */
  place(blocks: number): Tensor | undefined {
    return this.#parts.place(this.#parts.filled, blocks);
  }

  /** Keeps a pass's sums, and once all are there adds them up. */
  keep(parts: Tensor, gamma: Slot | undefined, beta: Slot | undefined): void {
    this.#parts.put(this.#parts.filled, parts);
    this.#target ??= { gamma, beta };
    if (this.#parts.complete) sumHalves(this.#gpu, this.#parts.all, this.#target.gamma, this.#target.beta);
  }

  end(): void {
    this.#parts.end();
  }
}

/** dw = Xᵀ·dY and db = the sums of dY: at once, or when `late` has the rows of all its passes. */
export function weightGradients(
  gpu: Gpu,
  x: Tensor,
  dy: Tensor,
  dw: Slot,
  db: Slot | undefined,
  late: Late<LateGradients> | undefined,
  variant: MatmulVariant | undefined,
): void {
  if (late) {
    late.store.keep(late.at, x, dy, dw, db);
    return;
  }
  const X = { matrix: x, transposed: true };
  product(gpu, X, { matrix: dy, transposed: false }, dw, { columnSums: db, variant });
}
