// Parameter gradients of passes of one column, computed together. A latent column alone has as few rows as the batch,
// and a product of so few reads and writes the whole gradient for little arithmetic; so the rows are kept, and
// multiplied together when the backward has run. Knows tensors; knows the passes by number only, and no tape.
import { copyRange, fill } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Slot } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { type MatmulVariant, product } from './product.ts';
import { sumRows } from './reduce.ts';

/** Rows of one width that passes of equal length leave side by side, in one tensor made for all at the first. */
class KeptRows {
  readonly #gpu: Gpu;
  readonly #passes: number;
  #all: Tensor | undefined;

  constructor(gpu: Gpu, passes: number) {
    this.#gpu = gpu;
    this.#passes = passes;
  }

  /** The place of a pass's rows [rows, width]; undefined where the device cannot bind it. */
  place(pass: number, rows: number, width: number): Tensor | undefined {
    if (pass >= this.#passes) throw new Error(`late gradients: pass ${pass} of ${this.#passes}`);
    this.#all ??= empty(this.#gpu, [this.#passes * rows, width]);
    const bindable = (rows * width * 4) % this.#gpu.device.limits.minStorageBufferOffsetAlignment === 0;
    return bindable ? this.#all.rows(pass * rows, (pass + 1) * rows) : undefined;
  }

  /** Copies rows to their place, unless they lie there already. */
  put(pass: number, x: Tensor): void {
    const width = x.shape.at(-1)!;
    const rows = x.size / width;
    const there = this.place(pass, rows, width);
    if (there?.range.buffer === x.range.buffer && there.range.offset === x.range.offset) return;
    copyRange(x, 0, this.#all!, pass * x.size, x.size);
  }

  /** The rows of the first `passes` passes. */
  first(passes: number): Tensor {
    return this.#all!.rows(0, (this.#all!.shape[0]! / this.#passes) * passes);
  }

  free(): void {
    this.#all?.free();
    this.#all = undefined;
  }
}

/**
 * What one linear map keeps: its inputs x [M, K], its output gradients dy [M, N], and where their products go. Passes
 * are numbered from the last one, whose backward comes first: those that were not recorded are then at the end.
 */
export class LateGradients {
  readonly #gpu: Gpu;
  readonly #x: KeptRows;
  readonly #dy: KeptRows;
  #kept = 0;
  #target: { readonly dw: Tensor; readonly db: Tensor | undefined } | undefined;

  constructor(gpu: Gpu, passes: number) {
    this.#gpu = gpu;
    this.#x = new KeptRows(gpu, passes);
    this.#dy = new KeptRows(gpu, passes);
  }

  /** Where a pass may write its inputs, or output gradients, of `shape` so that nothing is copied. */
  place(side: 'x' | 'dy', pass: number, [rows, width]: readonly [number, number]): Tensor | undefined {
    return (side === 'x' ? this.#x : this.#dy).place(pass, rows, width);
  }

  /** Keeps a pass's rows for `settle`. The gradients must have something in them already. */
  keep(pass: number, x: Tensor, dy: Tensor, dw: Tensor, db: Tensor | undefined): void {
    if (pass !== this.#kept) throw new Error(`late gradients: pass ${pass} comes after ${this.#kept}`);
    this.#x.put(pass, x);
    this.#dy.put(pass, dy);
    this.#target = { dw, db };
    this.#kept++;
  }

  /** Adds Xᵀ·dY of the rows kept to dw [K, N], and the sums of dY to db [N]. Call it after the backward. */
  settle(): void {
    if (!this.#target) return;
    const { dw, db } = this.#target;
    const X = { matrix: this.#x.first(this.#kept), transposed: true };
    const dY = { matrix: this.#dy.first(this.#kept), transposed: false };
    product(this.#gpu, X, dY, { tensor: dw, beta: 1 }, { columnSums: db && { tensor: db, beta: 1 } });
    this.free();
  }

  free(): void {
    this.#x.free();
    this.#dy.free();
    this.#target = undefined;
    this.#kept = 0;
  }
}

/** The same for a LayerNorm: the sums of its blocks of rows, [blocks, C] a pass. */
export class LateSums {
  readonly #gpu: Gpu;
  readonly #gamma: KeptRows;
  readonly #beta: KeptRows;
  #kept = 0;
  #target: { readonly gamma: Tensor; readonly beta: Tensor } | undefined;

  constructor(gpu: Gpu, passes: number) {
    this.#gpu = gpu;
    this.#gamma = new KeptRows(gpu, passes);
    this.#beta = new KeptRows(gpu, passes);
  }

  /** Where a pass's sums go, to be added to the gradients by `settle`; undefined where nothing can be bound there. */
  place(
    pass: number,
    [blocks, width]: readonly [number, number],
    target: { readonly gamma: Tensor; readonly beta: Tensor },
  ): { readonly gamma: Tensor; readonly beta: Tensor } | undefined {
    const gamma = this.#gamma.place(pass, blocks, width);
    const beta = this.#beta.place(pass, blocks, width);
    if (!gamma || !beta || pass !== this.#kept) return undefined;
    this.#target = target;
    this.#kept++;
    return { gamma, beta };
  }

  settle(): void {
    if (!this.#target) return;
    sumRows(this.#gpu, this.#gamma.first(this.#kept), { tensor: this.#target.gamma, beta: 1 });
    sumRows(this.#gpu, this.#beta.first(this.#kept), { tensor: this.#target.beta, beta: 1 });
    this.free();
  }

  free(): void {
    this.#gamma.free();
    this.#beta.free();
    this.#target = undefined;
    this.#kept = 0;
  }
}

/** What a pass of one column leaves for later, and its number. */
export interface Late<T> {
  readonly store: T;
  readonly pass: number;
}

/**
 * dw = Xᵀ·dY and db = the sums of dY: at once, or when `late` settles. Then a gradient that nothing has written yet
 * is zeroed, since the tape takes a slot that was asked for as written.
 */
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
    for (const slot of [dw, db]) if (slot?.beta === 0) fill(slot.tensor, 0);
    late.store.keep(late.pass, x, dy, dw.tensor, db?.tensor);
    return;
  }
  const X = { matrix: x, transposed: true };
  product(gpu, X, { matrix: dy, transposed: false }, dw, { columnSums: db, variant });
}
