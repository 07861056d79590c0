// Runs one op's row: device against reference forward and backward, with beta 0 and 1, and the reference's own
// backward against finite differences. Knows the form of a row; knows no particular op.
import { expect } from 'vitest';
import type { Gpu } from '../src/gpu/gpu.ts';
import type { Arr, Dims, OpCase } from './cases/case.ts';
import { normal } from './cases/case.ts';
import { relativeError, seeded } from './numbers.ts';
import { runOnDevice, TOLERANCE } from './run-case.ts';

/** The whole check of one row at one shape. */
export async function checkCase<D extends Dims, A>(
  gpu: Gpu,
  row: OpCase<D, A>,
  dims: D,
  seed: number,
): Promise<void> {
  const random = seeded(seed);
  const attrs = row.cpuAttrs(dims, random);
  const inputs = row.inputs(dims, random, attrs);
  const expected = row.forward(inputs, attrs);
  const dOutput = normal(expected.shape, random);
  const gradients = row.backward(inputs, attrs, dOutput);
  const where = `${row.name} ${JSON.stringify(dims)}`;
  const tolerance = row.tolerance ?? TOLERANCE;

  const live = gpu.pool.memory.live;
  const first = await runOnDevice(gpu, row, dims, attrs, inputs, dOutput, undefined);
  expect(relativeError(first.output, expected.data), `${where}: output`).toBeLessThan(tolerance);
  if (row.op.backward !== 'not differentiable')
    expect(Object.keys(gradients).sort(), `${where}: a gradient for every input`).toEqual(
      Object.keys(inputs).sort(),
    );
  for (const [name, gradient] of Object.entries(gradients))
    expect(relativeError(first.gradients[name]!, gradient.data), `${where}: d${name}`).toBeLessThan(
      tolerance,
    );

  const start = Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, normal(value.shape, random)]),
  );
  const added = await runOnDevice(gpu, row, dims, attrs, inputs, dOutput, start);
  for (const [name, gradient] of Object.entries(gradients)) {
    const sum = gradient.data.map((g, i) => g + start[name]!.data[i]!);
    expect(relativeError(added.gradients[name]!, sum), `${where}: d${name} added`).toBeLessThan(tolerance);
  }

  const again = await runOnDevice(gpu, row, dims, attrs, inputs, dOutput, undefined);
  expect(again, `${where}: the same bits again`).toEqual(first);
  expect(gpu.pool.memory.live, `${where}: everything freed`).toBe(live);
}

/** The reference's backward against central differences of its forward, in random directions. */
export function checkReference<D extends Dims, A>(row: OpCase<D, A>, dims: D, seed: number): void {
  const random = seeded(seed);
  const attrs = row.cpuAttrs(dims, random);
  const inputs = row.inputs(dims, random, attrs);
  const dOutput = normal(row.forward(inputs, attrs).shape, random);
  const gradients = row.backward(inputs, attrs, dOutput);
  const loss = (changed: Record<string, Arr>): number =>
    row.forward(changed, attrs).data.reduce((sum, y, i) => sum + y * dOutput.data[i]!, 0);
  const h = 1e-5;
  for (const [name, gradient] of Object.entries(gradients)) {
    const input = inputs[name]!;
    const direction = normal(input.shape, random);
    const moved = (by: number): Record<string, Arr> => ({
      ...inputs,
      [name]: { shape: input.shape, data: input.data.map((x, i) => x + by * direction.data[i]!) },
    });
    const measured = (loss(moved(h)) - loss(moved(-h))) / (2 * h);
    const claimed = gradient.data.reduce((sum, g, i) => sum + g * direction.data[i]!, 0);
    const scale = gradient.data.reduce((sum, g, i) => sum + Math.abs(g * direction.data[i]!), 1e-6);
    expect(
      Math.abs(measured - claimed) / scale,
      `${row.name} ${JSON.stringify(dims)}: d${name}`,
    ).toBeLessThan(1e-6);
  }
}
