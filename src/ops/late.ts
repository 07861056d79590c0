// Parameter gradients of all recorded passes of a row, computed together. A latent column alone has as few rows as
// the batch, and a product of so few reads and writes the whole gradient for little arithmetic; so each pass leaves
// its rows beside those of the others, and one product takes them all when the backward has run. Knows tensors;
// knows the passes by their rows only, and no tape.
import type { Gpu } from '../gpu/gpu.ts';
import type { Slot } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { type MatmulVariant, product } from './product.ts';
import { sumHalves } from './reduce.ts';
import { complete, SharedRows } from './shared-rows.ts';

/** Where a pass leaves something: a store, and the pass's first row in it. */
export interface Late<T> {
  readonly store: T;
  readonly at: number;
}

/**
 * What one linear map keeps of all passes: its inputs x [M, K] and its output gradients dy [M, N]. Gradients go to
 * the slots that were given first, as later ones would only add to them.
 */
export class LateGradients {
  readonly x: SharedRows;
  readonly dy: SharedRows;
  readonly #gpu: Gpu;
  #target: { readonly dw: Slot; readonly db: Slot | undefined } | undefined;

  constructor(gpu: Gpu, rows: number, { K, N }: { readonly K: number; readonly N: number }) {
    this.#gpu = gpu;
    this.x = new SharedRows(gpu, rows, K);
    this.dy = new SharedRows(gpu, rows, N);
  }

  /** Keeps a pass's rows for `settle`. */
  keep(at: number, x: Tensor, dy: Tensor, dw: Slot, db: Slot | undefined): void {
    this.x.put(at, x);
    this.dy.put(at, dy);
    this.#target ??= { dw, db };
  }

  /** dw = Xᵀ·dY [K, N] and db = the sums of dY [N]. Call it after the backward. */
  settle(): void {
    if (!this.#target) return;
    const { dw, db } = this.#target;
    const X = { matrix: complete(this.x), transposed: true };
    const dY = { matrix: complete(this.dy), transposed: false };
    product(this.#gpu, X, dY, dw, { columnSums: db });
    this.free();
  }

  free(): void {
    this.x.free();
    this.dy.free();
    this.#target = undefined;
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

  /** Keeps a pass's sums for `settle`. */
  keep(parts: Tensor, gamma: Slot | undefined, beta: Slot | undefined): void {
    this.#parts.put(this.#parts.filled, parts);
    this.#target ??= { gamma, beta };
  }

  settle(): void {
    if (!this.#target) return;
    sumHalves(this.#gpu, complete(this.#parts), this.#target.gamma, this.#target.beta);
    this.free();
  }

  free(): void {
    this.#parts.free();
    this.#target = undefined;
  }
}

/** dw = Xᵀ·dY and db = the sums of dY: at once, or when `late` settles. */
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
