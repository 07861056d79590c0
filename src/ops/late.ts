// Weight gradients of passes of one column, in one product. A latent column alone has as few rows as the batch, and
// a product of so few reads and writes the whole gradient for little arithmetic; so the rows are kept, and multiplied
// together when the backward has run. Knows tensors; knows no pass and no tape.
import { copyRange } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Slot } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { product } from './product.ts';

/** What one linear map keeps of its inputs x [M, K] and output gradients dy [M, N]. */
export class LateGradients {
  readonly #gpu: Gpu;
  readonly #capacity: number;
  #kept: { readonly x: Tensor; readonly dy: Tensor; readonly dw: Tensor; readonly db: Tensor | undefined } | undefined;
  #rows = 0;

  /** Room for `capacity` rows, taken when the first are kept. */
  constructor(gpu: Gpu, capacity: number) {
    this.#gpu = gpu;
    this.#capacity = capacity;
  }

  /** Keeps rows for `settle`, which adds their share to dw [K, N] and db [N]. */
  keep(x: Tensor, dy: Tensor, dw: Tensor, db: Tensor | undefined): void {
    const [K, N] = [x.shape.at(-1)!, dy.shape.at(-1)!];
    const rows = x.size / K;
    if (this.#rows + rows > this.#capacity)
      throw new Error(`late gradients: ${this.#rows} + ${rows} rows are over the room for ${this.#capacity}`);
    this.#kept ??= {
      x: empty(this.#gpu, [this.#capacity, K]),
      dy: empty(this.#gpu, [this.#capacity, N]),
      dw,
      db,
    };
    copyRange(x, 0, this.#kept.x, this.#rows * K, x.size);
    copyRange(dy, 0, this.#kept.dy, this.#rows * N, dy.size);
    this.#rows += rows;
  }

  /** Adds Xᵀ·dY of the rows kept to dw, and the sums of dY to db. Call it once the backward is recorded. */
  settle(): void {
    if (!this.#kept) return;
    const { x, dy, dw, db } = this.#kept;
    const X = { matrix: x.rows(0, this.#rows), transposed: true };
    const dY = { matrix: dy.rows(0, this.#rows), transposed: false };
    product(this.#gpu, X, dY, { tensor: dw, beta: 1 }, { columnSums: db && { tensor: db, beta: 1 } });
    this.free();
  }

  free(): void {
    this.#kept?.x.free();
    this.#kept?.dy.free();
    this.#kept = undefined;
    this.#rows = 0;
  }
}

/**
 * dw = Xᵀ·dY and db = the sums of dY, at once or, with `late`, when that settles. Rows are kept only where the
 * gradients have something in them already (beta 1): the tape takes a slot that was asked for as written.
 */
export function weightGradients(
  gpu: Gpu,
  x: Tensor,
  dy: Tensor,
  dw: Slot,
  db: Slot | undefined,
  late: LateGradients | undefined,
): void {
  if (late && dw.beta === 1 && db?.beta !== 0) {
    late.keep(x, dy, dw.tensor, db?.tensor);
    return;
  }
  const X = { matrix: x, transposed: true };
  product(gpu, X, { matrix: dy, transposed: false }, dw, { columnSums: db });
}
