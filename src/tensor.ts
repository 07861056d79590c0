// A tensor: a range of a GPU buffer with a shape and a type. Knows the device; knows no op.
import type { DType, Gpu, Range } from './gpu/gpu.ts';

export type { DType } from './gpu/gpu.ts';

/** Types that numbers may be stored in. */
export type FloatType = Extract<DType, 'f32' | 'f16'>;

/**
 * Row-major, contiguous, four bytes an element, or two of f16. Views share the buffer; only the owner frees it. Ranges
 * are of whole words: after an odd number of f16 two bytes more belong to it, which no kernel touches.
 */
export class Tensor {
  readonly gpu: Gpu;
  readonly range: Range;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly size: number;
  #owner: boolean;

  constructor(gpu: Gpu, range: Range, shape: readonly number[], dtype: DType, owner: boolean) {
    this.gpu = gpu;
    this.range = range;
    this.shape = shape;
    this.dtype = dtype;
    this.size = count(shape);
    this.#owner = owner;
    if (bytesOf(this.size, dtype) !== range.size)
      throw new Error(`a tensor of shape [${shape}] does not fill ${range.size} bytes`);
  }

  get bytes(): number {
    return this.range.size;
  }

  /** The same elements under another shape. */
  view(shape: readonly number[]): Tensor {
    return new Tensor(this.gpu, this.range, shape, this.dtype, false);
  }

  /** Rows [from, to) of the first dimension, sharing memory. Throws where the device cannot bind at that offset. */
  rows(from: number, to: number): Tensor {
    const width = this.size / this.shape[0]!;
    const offset = this.range.offset + from * width * elementBytes(this.dtype);
    if (offset % this.gpu.device.limits.minStorageBufferOffsetAlignment !== 0)
      throw new Error(`rows from ${from} of [${this.shape}] start at byte ${offset}, which cannot be bound`);
    const range = { buffer: this.range.buffer, offset, size: bytesOf((to - from) * width, this.dtype) };
    return new Tensor(this.gpu, range, [to - from, ...this.shape.slice(1)], this.dtype, false);
  }

  /** Gives the memory back. Commands recorded before still see it; nothing may use the tensor afterwards. */
  free(): void {
    if (!this.#owner) return;
    this.#owner = false;
    this.gpu.pool.give(this.range.buffer, this.range.size);
  }
}

/** Number of elements of a shape. */
export function count(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Bytes of an element. */
export function elementBytes(dtype: DType): number {
  return dtype === 'f16' ? 2 : 4;
}

/** Bytes of so many elements, in whole words. */
function bytesOf(size: number, dtype: DType): number {
  return Math.ceil((size * elementBytes(dtype)) / 4) * 4;
}

/** A tensor with undefined contents (NaN everywhere on a poisoned device). Throws on an empty or broken shape. */
export function empty(gpu: Gpu, shape: readonly number[], dtype: DType = 'f32'): Tensor {
  const size = count(shape);
  if (!Number.isInteger(size) || size < 1) throw new Error(`a tensor cannot have shape [${shape}]`);
  const bytes = bytesOf(size, dtype);
  const range = { buffer: gpu.pool.take(bytes), offset: 0, size: bytes };
  if (gpu.poison) {
    const bits = dtype === 'f16' ? 0x7e007e00 : 0x7fc00000;
    gpu.run('fill', { y: { range } }, { size: bytes / 4, bits }, { groups: Math.ceil(bytes / 1024) });
  }
  return new Tensor(gpu, range, shape, dtype, true);
}

/** A tensor with `data` in it. The data is copied before the call returns. */
export function upload(
  gpu: Gpu,
  data: Float32Array | Uint32Array | Int32Array,
  shape: readonly number[],
): Tensor {
  if (count(shape) !== data.length) throw new Error(`${data.length} values do not fill shape [${shape}]`);
  if (data.length === 0) throw new Error(`a tensor cannot have shape [${shape}]`);
  const range = { buffer: gpu.pool.take(data.byteLength, true), offset: 0, size: data.byteLength };
  gpu.write(range, data, true);
  const dtype = data instanceof Float32Array ? 'f32' : data instanceof Uint32Array ? 'u32' : 'i32';
  return new Tensor(gpu, range, shape, dtype, true);
}

/** The elements of an f32 tensor, after everything recorded so far. */
export async function read(tensor: Tensor): Promise<Float32Array> {
  return new Float32Array(await tensor.gpu.read(tensor.range));
}

/** The elements of a u32 tensor, after everything recorded so far. */
export async function readU32(tensor: Tensor): Promise<Uint32Array> {
  return new Uint32Array(await tensor.gpu.read(tensor.range));
}
