// A tensor of rows that several passes fill, each its own range: what the passes of a row have in common lies in one
// place, in order, without a copy. Knows tensors; knows no pass and no op.
import { copyRange } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { type DType, elementBytes, empty, type Tensor } from '../tensor.ts';

/** A tensor [rows, width], made at the first use. */
export class SharedRows {
  readonly rows: number;
  readonly width: number;
  readonly dtype: DType;
  readonly #gpu: Gpu;
  #all: Tensor | undefined;
  #filled = 0;

  constructor(gpu: Gpu, rows: number, width: number, dtype: DType = 'f32') {
    this.#gpu = gpu;
    this.rows = rows;
    this.width = width;
    this.dtype = dtype;
  }

  /** All rows; those that nothing was put in are undefined. */
  get all(): Tensor {
    this.#all ??= empty(this.#gpu, [this.rows, this.width], this.dtype);
    return this.#all;
  }

  /** Rows that were put. */
  get filled(): number {
    return this.#filled;
  }

  /** Every row was put. */
  get complete(): boolean {
    return this.#filled === this.rows;
  }

  /** Rows [at, at + rows), to be written where they belong; undefined where the device cannot bind them. */
  place(at: number, rows: number): Tensor | undefined {
    if (at + rows > this.rows) throw new Error(`there are no rows ${at} to ${at + rows} of ${this.rows}`);
    const offset = this.#offset(at);
    const bindable = offset % this.#gpu.device.limits.minStorageBufferOffsetAlignment === 0;
    return bindable ? this.all.rows(at, at + rows) : undefined;
  }

  /** Byte of the buffer at which row `at` begins. */
  #offset(at: number): number {
    return this.all.range.offset + at * this.width * elementBytes(this.dtype);
  }

  /** Copies x to the rows from `at` on, unless it lies there already. */
  put(at: number, x: Tensor): void {
    this.#filled += x.size / this.width;
    if (x.range.buffer === this.all.range.buffer && x.range.offset === this.#offset(at)) return;
    copyRange(x, 0, this.all, at * this.width, x.size);
  }

  /** Frees them at the end of a backward pass. Throws where some were put and others not: a gradient lacks those. */
  end(): void {
    if (this.#filled > 0 && !this.complete)
      throw new Error(`rows of passes: ${this.#filled} of ${this.rows} have run backward`);
    this.free();
  }

  free(): void {
    this.#all?.free();
    this.#all = undefined;
    this.#filled = 0;
  }
}
