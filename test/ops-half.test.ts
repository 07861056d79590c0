// Every op with its activations stored as f16, against its float64 reference on the same rounded numbers: what is left
// is the rounding of what is stored on the way and in the end.
import { describe, expect, it } from 'vitest';
import { fill } from '../src/flat.ts';
import { crossEntropy } from '../src/ops/cross-entropy.ts';
import { empty, upload } from '../src/tensor.ts';
import { type Arr, arr, type Dims, normal, type OpCase } from './cases/case.ts';
import { cases } from './cases/index.ts';
import { testGpu } from './device.ts';
import { relativeError, seeded } from './numbers.ts';
import { onDevice, readFloats, runOnDevice, typeOf } from './run-case.ts';

const gpu = await testGpu();
/** The same adapter with bindings of 8 KiB, so that tensors are bound in pieces. */
const narrow = await testGpu({ limits: { maxBinding: 8192 }, poison: false });

/** Of a tensor's largest number: four times what a single rounding to f16 may do. */
const TOLERANCE = 4 * 2 ** -11;

/**
 * Few shapes, odd ones and such as take kernels by fours, since each compiles its own kernels: what else can go wrong at
 * a shape is ops.test.ts's. The MLP stores three results one after another, and one number alone may lose its digits.
 */
const DIMS: Readonly<Record<string, readonly Dims[]>> = {
  attention: [
    { B: 3, T: 13, H: 3, D: 5 },
    { B: 2, T: 7, H: 1, D: 8 },
    { B: 3, T: 1, H: 1, D: 4 },
  ],
  linear: [
    { M: 1, N: 1, K: 1, bias: 1, residual: 1 },
    { M: 37, N: 29, K: 41, bias: 1, residual: 1 },
    { M: 100, N: 68, K: 44, bias: 1, residual: 1 },
    { M: 4, N: 36, K: 8, bias: 1, residual: 0 },
  ],
  matmul: [
    { M: 17, N: 33, K: 65, batch: 1, form: 0 },
    { M: 5, N: 1, K: 131, batch: 1, form: 1 },
    { M: 16, N: 16, K: 20, batch: 2, form: 1 },
  ],
  mlp: [
    { M: 37, C: 13, I: 41 },
    { M: 100, C: 20, I: 76 },
  ],
};

const rounded = ({ shape, data }: Arr): Arr => arr(shape, i => Math.f16round(data[i]!));

async function checkHalves(row: OpCase<Dims, unknown>, dims: Dims, seed: number, on = gpu): Promise<void> {
  const random = seeded(seed);
  const attrs = row.cpuAttrs(dims, random);
  const stored = (values: Record<string, Arr>): Record<string, Arr> =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        typeOf(row, name, 'f16') === 'f16' ? rounded(value) : value,
      ]),
    );
  const inputs = stored(row.inputs(dims, random, attrs));
  const expected = row.forward(inputs, attrs);
  const dOutput = rounded(normal(expected.shape, random));
  const gradients = row.backward(inputs, attrs, dOutput);
  const where = `${row.name} ${JSON.stringify(dims)}`;
  const live = on.pool.memory.live;
  const first = await runOnDevice(on, row, dims, attrs, inputs, dOutput, undefined, 'f16');
  expect(relativeError(first.output, expected.data), `${where}: output`).toBeLessThan(TOLERANCE);
  for (const [name, { data }] of Object.entries(gradients))
    expect(relativeError(first.gradients[name]!, data), `${where}: d${name}`).toBeLessThan(TOLERANCE);
  const start = stored(
    Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, normal(value.shape, random)])),
  );
  const added = await runOnDevice(on, row, dims, attrs, inputs, dOutput, start, 'f16');
  for (const [name, { data }] of Object.entries(gradients)) {
    const sum = data.map((g, i) => g + start[name]!.data[i]!);
    expect(relativeError(added.gradients[name]!, sum), `${where}: d${name} added`).toBeLessThan(TOLERANCE);
  }
  expect(on.pool.memory.live, `${where}: everything freed`).toBe(live);
}

describe.skipIf(!gpu.features.has('shader-f16'))('with f16 (needs an adapter with shader-f16)', () => {
  it.each(cases.map(row => [row.name, row] as const))('%s agrees with its reference', async (_, row) => {
    for (const [i, dims] of (DIMS[row.name] ?? row.fixed).entries()) await checkHalves(row, dims, i);
  });

  it.each([
    ['layernorm', { form: 'workgroup' }, { M: 5, C: 67 }],
    ['softmax', { form: 'workgroup' }, { R: 3, V: 131 }],
    ['cross-entropy', { form: 'workgroup' }, { R: 3, V: 131 }],
    ['attention', { form: 'plain' }, { B: 3, T: 1, H: 1, D: 4 }],
    ['linear', { variant: 'tiled-32x32' }, { M: 37, N: 29, K: 41, bias: 1, residual: 1 }],
    ['mlp', { variant: 'tiled-16x64' }, { M: 37, C: 13, I: 41 }],
  ] as const)('%s agrees in the form of other adapters: %o', async (name, forced, dims) => {
    const row = cases.find(row => row.name === name)!;
    const attrs: typeof row.attrs = (...given) => {
      const made = row.attrs(...given);
      return { ...made, attrs: { ...(made.attrs as object), ...forced } };
    };
    await checkHalves({ ...row, attrs }, dims, 21);
  });

  it.each([
    ['add', { M: 133, C: 61 }],
    ['gelu', { M: 133, C: 61 }],
    ['softmax', { R: 300, V: 13 }],
    ['cross-entropy', { R: 300, V: 13 }],
    ['matmul', { M: 300, N: 17, K: 19, batch: 1, form: 0 }],
    ['matmul', { M: 5, N: 300, K: 9, batch: 1, form: 1 }],
    ['embedding', { V: 300, P: 5, M: 67, C: 9, row0: 3, fed: 5, masked: 1 }],
    ['lookup', { M: 33, V: 900, C: 5 }],
  ] as const)('%s agrees where it is bound in pieces: %o', async (name, dims) => {
    await checkHalves(cases.find(row => row.name === name)!, dims, 22, narrow);
  });

  it.each([1, 2, 3, 4, 255, 256, 257, 1001])('%i zeros leave what follows them alone', async count => {
    const x = onDevice(
      gpu,
      arr([2, 256 * 5], i => i + 1),
      'f16',
    );
    fill(x.view([2 * 256 * 5]).rows(256, 256 + count), 0);
    const values = await readFloats(x);
    expect(values.indexOf(0)).toBe(256);
    expect(values.filter(value => value === 0).length).toBe(count);
    expect(values[256 + count]).toBe(Math.f16round(256 + count + 1));
    x.free();
  });

  it('refuses a row that cannot be bound, and to be filled with anything but zeros', () => {
    const x = empty(gpu, [4, 64], 'f16');
    expect(x.rows(2, 4).range.offset).toBe(256);
    expect(() => x.rows(1, 2)).toThrow('start at byte 128, which cannot be bound');
    expect(() => fill(x, 1)).toThrow('a tensor of f16 can be set to 0 only');
    x.free();
  });

  it('cross-entropy keeps a gradient that its scale alone would make zero', async () => {
    const scale = 1e-9;
    const logits = onDevice(
      gpu,
      arr([1, 3], i => i),
      'f16',
    );
    const targets = upload(gpu, Uint32Array.of(0), [1]);
    const attrs = { targets, scale };
    const { output, saved } = crossEntropy.forward(gpu, { logits }, attrs);
    const d = { logits: { tensor: empty(gpu, [1, 3], 'f16'), beta: 0 as const } };
    const dOutput = upload(gpu, Float32Array.of(2 ** 24), [1]);
    if (crossEntropy.backward === 'not differentiable') throw new Error('it has a backward');
    crossEntropy.backward(gpu, { inputs: { logits }, attrs, output, saved }, dOutput, d);
    const p = [0, 1, 2].map(x => Math.exp(x) / (1 + Math.E + Math.E ** 2));
    const expected = p.map((value, i) => 2 ** 24 * scale * (value - (i === 0 ? 1 : 0)));
    expect(relativeError(await readFloats(d.logits.tensor), expected)).toBeLessThan(TOLERANCE);
    for (const tensor of [logits, targets, output, saved.dlogits, d.logits.tensor, dOutput]) tensor.free();
  });
});
