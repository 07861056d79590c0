// Runs one op's row on a device, forward and backward. Knows the form of a row; knows no particular op, and no
// test framework, since the bench runs rows too.

import { copy } from '../src/flat.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import type { Slot, Tensors } from '../src/tape.ts';
import { type DType, empty, type FloatType, read, type Tensor, upload } from '../src/tensor.ts';
import type { Arr, Dims, OpCase } from './cases/case.ts';

/** Relative error allowed, unless a row says otherwise and why. */
export const TOLERANCE = 1e-5;

export function onDevice(gpu: Gpu, array: Arr, dtype: DType = 'f32'): Tensor {
  const tensor = upload(gpu, Float32Array.from(array.data), array.shape);
  if (dtype === 'f32') return tensor;
  const stored = empty(gpu, array.shape, dtype);
  copy(tensor, stored);
  tensor.free();
  return stored;
}

/** The elements of a tensor of f32 or f16. */
export async function readFloats(tensor: Tensor): Promise<Float32Array> {
  if (tensor.dtype === 'f32') return read(tensor);
  const wide = empty(tensor.gpu, tensor.shape);
  copy(tensor, wide);
  const values = await read(wide);
  wide.free();
  return values;
}

/** The type of an input, where activations are stored as `storage`. */
export function typeOf<D extends Dims, A>(row: OpCase<D, A>, name: string, storage: FloatType): FloatType {
  return row.parameters?.includes(name) ? 'f32' : storage;
}

export interface Run {
  readonly output: Float32Array;
  readonly gradients: Record<string, Float32Array>;
}

/** Forward and backward of a row on the device; with beta 1 the gradients start from `start`. */
export async function runOnDevice<D extends Dims, A>(
  gpu: Gpu,
  row: OpCase<D, A>,
  dims: D,
  attrs: A,
  inputs: Record<string, Arr>,
  dOutput: Arr,
  start: Record<string, Arr> | undefined,
  storage: FloatType = 'f32',
): Promise<Run> {
  const device = row.attrs(gpu, attrs, dims, storage);
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, onDevice(gpu, value, typeOf(row, name, storage))]),
  );
  const { output, saved } = row.op.forward(gpu, tensors, device.attrs);
  if (output.size !== dOutput.data.length)
    throw new Error(`${row.name}: output [${output.shape}], expected [${dOutput.shape}]`);
  const result = await readFloats(output);
  const gradients: Record<string, Float32Array> = {};
  if (row.op.backward !== 'not differentiable') {
    const slots: Record<string, Slot> = {};
    for (const [name, value] of Object.entries(inputs)) {
      const dtype = typeOf(row, name, storage);
      const tensor = start ? onDevice(gpu, start[name]!, dtype) : empty(gpu, value.shape, dtype);
      slots[name] = { tensor, beta: start ? 1 : 0 };
    }
    const dy = onDevice(gpu, dOutput, output.dtype);
    row.op.backward(gpu, { inputs: tensors, attrs: device.attrs, output, saved }, dy, slots);
    for (const [name, { tensor }] of Object.entries(slots)) {
      gradients[name] = await readFloats(tensor);
      tensor.free();
    }
    dy.free();
  }
  for (const tensor of [
    output,
    ...Object.values(saved as Tensors),
    ...Object.values(tensors),
    ...Object.values(device.owned),
  ])
    tensor.free();
  return { output: result, gradients };
}
