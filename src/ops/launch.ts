// What the ops share: shape checks, and running a kernel over tensors that may exceed what one binding can span.
// Knows tensors and grids; knows no particular op.
import type { Gpu } from '../gpu/gpu.ts';
import type { Tensor } from '../tensor.ts';

/** Elements that one workgroup of a flat kernel (fill, copy, add, gelu, …) takes: 64 threads, four each. */
const FLAT_GROUP = 256;

/** Columns that one thread of a row kernel (embedding, gather-rows, …) takes: `COLS` in its shader. */
export const COLS = 4;

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);

/** Width of a tensor seen as rows: its last dimension. All others together number the rows. */
export function widthOf(tensor: Tensor): number {
  return tensor.shape[tensor.shape.length - 1] ?? 1;
}

/** Throws an Error naming op and tensor unless `tensor` has exactly this shape. */
export function expectShape(op: string, name: string, tensor: Tensor, shape: readonly number[]): void {
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i]))
    throw new Error(`${op}: ${name} has shape [${tensor.shape}], expected [${shape}]`);
}

/** Throws an Error naming op and tensor unless `tensor` has exactly this many elements. */
export function expectSize(op: string, name: string, tensor: Tensor, size: number): void {
  if (tensor.size !== size)
    throw new Error(`${op}: ${name} has ${tensor.size} elements (shape [${tensor.shape}]), expected ${size}`);
}

/** How a kernel over rows is laid out: a thread a row (or a few), without barriers, or a workgroup a row. */
export type RowForm = 'thread' | 'workgroup';

/**
 * The form used where none was asked for. A workgroup a row of 64 costs SwiftShader fifty times a thread a row, with
 * its barriers; a GPU wants neighbouring threads on neighbouring columns. Few rows of a large vocabulary would leave
 * even a CPU's lanes idle, a thread each.
 */
export function defaultRowForm(gpu: Gpu, rows: number, width: number): RowForm {
  return gpu.cpuRun && !(rows <= 8 && width >= 4096) ? 'thread' : 'workgroup';
}

/**
 * Cuts `rows` rows of `rowBytes` into [from, to) pieces that a binding can span. Pieces start at multiples of 64
 * rows, hence at bindable offsets. Throws an Error where not even 64 rows fit.
 */
export function pieces(gpu: Gpu, rows: number, rowBytes: number): [number, number][] {
  if (rows * rowBytes <= gpu.limits.maxBinding) return [[0, rows]];
  const step = Math.floor(gpu.limits.maxBinding / rowBytes / 64) * 64;
  if (step === 0) throw new Error(`64 rows of ${rowBytes} bytes do not fit in one binding on this device`);
  return Array.from({ length: ceilDiv(rows, step) }, (_, i) => [i * step, Math.min((i + 1) * step, rows)]);
}

/** Rows [from, to) of a tensor seen as [rows, width], or the whole tensor where that is all of it. */
export function rowsOf(tensor: Tensor, width: number, from: number, to: number): Tensor {
  const rows = tensor.size / width;
  return from === 0 && to === rows ? tensor : tensor.view([rows, width]).rows(from, to);
}

/**
 * Runs an elementwise kernel over tensors of one size, bound in pieces where they exceed the binding limit.
 * `params(start, count)` gives the parameters of the piece that starts at element `start`; `whole` are tensors
 * that every piece binds entire.
 */
export function runFlat(
  gpu: Gpu,
  kernel: string,
  flat: Readonly<Record<string, Tensor>>,
  params: (start: number, count: number) => Record<string, number>,
  whole: Readonly<Record<string, Tensor>> = {},
): void {
  const tensors = Object.entries(flat);
  const size = tensors[0]![1].size;
  for (const [name, tensor] of tensors) expectSize(kernel, name, tensor, size);
  for (const [from, to] of pieces(gpu, size, 4)) {
    const bound = Object.fromEntries(tensors.map(([name, tensor]) => [name, rowsOf(tensor, 1, from, to)]));
    const groups = ceilDiv(to - from, FLAT_GROUP);
    gpu.run(kernel, { ...bound, ...whole }, params(from, to - from), { groups, unroll: true });
  }
}
