// What the ops share: shape checks, and running a kernel over tensors that may exceed what one binding can span.
// Knows tensors and grids; knows no particular op.
import type { Gpu } from '../gpu/gpu.ts';
import type { Tensor } from '../tensor.ts';

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
 * Lanes of a workgroup without barriers: as many as the CPU's vectors have, four in SwiftShader and eight in
 * llvmpipe, where larger ones leave cores without work in small dispatches; 64 on a GPU.
 */
export function lanes(gpu: Gpu): number {
  return gpu.swiftshader ? 4 : gpu.cpuRun ? 8 : 64;
}
