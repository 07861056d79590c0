// Tensors as flat ranges: elementwise kernels over tensors that may exceed what one binding can span, filling and
// copying. Knows tensors and grids; knows no op.
import type { Gpu, Launch } from './gpu/gpu.ts';
import type { Constants } from './gpu/shader.ts';
import { empty, type Tensor } from './tensor.ts';

/** Elements that one workgroup of a flat kernel (fill, copy, add, gelu, …) takes: 64 threads, four each. */
const FLAT_GROUP = 256;

/** Rows that begin at a multiple of 256 bytes, which any device can bind, whatever their width. */
export function bindableRows(...tensors: readonly Tensor[]): 64 | 128 {
  return tensors.some(({ dtype }) => dtype === 'f16') ? 128 : 64;
}

/**
 * Cuts `rows` rows of `rowBytes` into [from, to) pieces that a binding can span. Pieces start at multiples of `unit`
 * rows, hence at bindable offsets. Throws an Error where not even so many rows fit.
 */
export function pieces(gpu: Gpu, rows: number, rowBytes: number, unit: 64 | 128 = 64): [number, number][] {
  if (rows * rowBytes <= gpu.limits.maxBinding) return [[0, rows]];
  const step = Math.floor(gpu.limits.maxBinding / rowBytes / unit) * unit;
  if (step === 0)
    throw new Error(`${unit} rows of ${rowBytes} bytes do not fit in one binding on this device`);
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => [i * step, Math.min((i + 1) * step, rows)]);
}

/** Rows [from, to) of a tensor seen as [rows, width], or the whole tensor where that is all of it. */
export function rowsOf(tensor: Tensor, width: number, from: number, to: number): Tensor {
  const rows = tensor.size / width;
  return from === 0 && to === rows ? tensor : tensor.view([rows, width]).rows(from, to);
}

/**
 * Runs an elementwise kernel over tensors of one size, bound in pieces where they exceed the binding limit.
 * `params(start, count)` gives the parameters of the piece that starts at element `start`; `whole` are tensors
 * that every piece binds entire, `consts` the kernel's constants but `GUARD`.
 */
export function runFlat(
  gpu: Gpu,
  kernel: string,
  flat: Readonly<Record<string, Tensor>>,
  params: (start: number, count: number) => Record<string, number>,
  whole: Readonly<Record<string, Tensor>> = {},
  consts: Constants = {},
): void {
  const tensors = Object.entries(flat);
  const size = tensors[0]![1].size;
  for (const [name, tensor] of tensors)
    if (tensor.size !== size)
      throw new Error(`${kernel}: ${name} has shape [${tensor.shape}], expected ${size} elements`);
  for (const [from, to] of pieces(gpu, size, 4, bindableRows(...Object.values(flat)))) {
    const bound = Object.fromEntries(tensors.map(([name, tensor]) => [name, rowsOf(tensor, 1, from, to)]));
    gpu.run(kernel, { ...bound, ...whole }, params(from, to - from), flatLaunch(gpu, to - from, consts));
  }
}

/**
 * A grid of flat kernels for `count` elements, and their constants. Without `GUARD` no element is tested, which needs
 * full workgroups of which no fold of the grid leaves any over. SwiftShader is faster so, llvmpipe slower (docs/log.md).
 */
function flatLaunch(gpu: Gpu, count: number, consts: Constants = {}): Launch {
  const groups = Math.ceil(count / FLAT_GROUP);
  const whole = count % FLAT_GROUP === 0 && groups <= gpu.limits.maxGroups;
  return { groups, consts: { ...consts, GUARD: !(whole && gpu.swiftshader) }, unroll: true };
}

/** Sets every element of an f32 tensor to `value`, whatever the tensor held; of one of f16 to 0. */
export function fill(y: Tensor, value: number): void {
  if (y.dtype === 'f16') {
    if (value !== 0) throw new Error(`fill: a tensor of f16 can be set to 0 only, not to ${value}`);
    clear(y);
    return;
  }
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0]!;
  runFlat(y.gpu, 'fill', { y }, (_, size) => ({ size, bits }));
}

/** Zeros of f16, two a word; an odd one alone, as the other half of its word may be another tensor's. */
function clear(y: Tensor): void {
  const { gpu, range, size } = y;
  const words = Math.floor(size / 2);
  for (const [from, to] of words > 0 ? pieces(gpu, words, 4) : []) {
    const bytes = { ...range, offset: range.offset + 4 * from, size: 4 * (to - from) };
    gpu.run('fill', { y: { range: bytes } }, { size: to - from, bits: 0 }, flatLaunch(gpu, to - from));
  }
  if (size % 2 === 0) return;
  const zero = empty(gpu, [1]);
  fill(zero, 0);
  copyRange(zero, 0, y, size - 1, 1);
  zero.free();
}

/** y = x, or y += x with `beta` 1; same number of elements, of f32 or f16 each. */
export function copy(x: Tensor, y: Tensor, beta: 0 | 1 = 0): void {
  runFlat(y.gpu, 'copy', { x, y }, (_, count) => ({ count, xStart: 0, yStart: 0 }), {}, { ADD: beta === 1 });
}

/** The same for `count` elements from `xStart` of x and `yStart` of y. Both must fit in a binding. */
export function copyRange(
  x: Tensor,
  xStart: number,
  y: Tensor,
  yStart: number,
  count: number,
  beta: 0 | 1 = 0,
): void {
  y.gpu.run('copy', { x, y }, { count, xStart, yStart }, flatLaunch(y.gpu, count, { ADD: beta === 1 }));
}
