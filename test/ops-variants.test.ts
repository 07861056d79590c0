// Every variant of the matrix product against float64: all transposes, sizes that no tile divides, and all that may
// follow the product in its dispatch. Which variant runs must not show in the result beyond rounding.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Gpu } from '../src/gpu/gpu.ts';
import {
  isMatmulVariant,
  type MatmulVariant,
  matmulForm,
  matmulVariants,
  type ProductOptions,
  type ProductShape,
  product,
} from '../src/ops/product.ts';
import { empty, read } from '../src/tensor.ts';
import { type Arr, normal } from './cases/case.ts';
import { testGpu } from './device.ts';
import { relativeError, seeded } from './numbers.ts';
import { onDevice } from './run-case.ts';

const gpu = await testGpu();
/** The same adapter without subgroups, as many a GPU is. */
const plain = await testGpu();
(plain.features as Set<string>).delete('subgroups');

const AFTER = [
  'nothing',
  'add',
  'bias',
  'bias, add',
  'bias, residual',
  'gelu',
  'gelu slope',
  'sums',
  'sums, add',
] as const;
type After = (typeof AFTER)[number];

interface Sizes {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** GELU as in gelu.ts, and its slope. */
const gelu = (x: number): number => x / (1 + Math.exp(-2 * inner(x)));
const inner = (x: number): number => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
const slope = (x: number): number => (gelu(x + 1e-6) - gelu(x - 1e-6)) / 2e-6;

/** What `after` asks of a product on the left, and element (m, n) of what comes of it on the right. */
async function check(
  device: Gpu,
  variant: MatmulVariant,
  { M, N, K }: Sizes,
  form: number,
  after: After,
  seed: number,
): Promise<void> {
  const random = seeded(seed);
  const [transposeA, transposeB] = [form >= 2, form % 2 === 1];
  const a = normal(transposeA ? [K, M] : [M, K], random);
  const b = normal(transposeB ? [N, K] : [K, N], random);
  const old = normal([M, N], random);
  const other = normal([M, N], random);
  const bias = normal([N], random);
  const sums = normal([N], random);
  const adds = after.endsWith('add');

  const on = Object.fromEntries(
    Object.entries({ a, b, old, other, bias, sums }).map(([name, value]) => [name, onDevice(device, value)]),
  );
  const out = adds ? on.old! : onDevice(device, nan([M, N]));
  const sumsOut = adds ? on.sums! : onDevice(device, nan([N]));
  const side = onDevice(device, nan([M, N]));
  const options: ProductOptions = {
    variant,
    ...(after.startsWith('bias') && { bias: on.bias! }),
    ...(after === 'bias, residual' && { residual: on.other! }),
    ...(after === 'gelu' && { bias: on.bias!, gelu: side }),
    ...(after === 'gelu slope' && { geluAt: on.other! }),
    ...(after.startsWith('sums') && { columnSums: { tensor: sumsOut, beta: adds ? 1 : 0 } as const }),
  };
  const A = { matrix: on.a!, transposed: transposeA };
  const B = { matrix: on.b!, transposed: transposeB };
  product(device, A, B, { tensor: out, beta: adds ? 1 : 0 }, options);

  const expected = new Float64Array(M * N);
  const before = new Float64Array(M * N);
  for (let m = 0; m < M; m++)
    for (let n = 0; n < N; n++) {
      const at = m * N + n;
      let value = 0;
      for (let k = 0; k < K; k++)
        value += a.data[transposeA ? k * M + m : m * K + k]! * b.data[transposeB ? n * K + k : k * N + n]!;
      if (after.startsWith('bias') || after === 'gelu') value += bias.data[n]!;
      if (after === 'bias, residual') value += other.data[at]!;
      before[at] = value;
      if (after === 'gelu') value = gelu(value);
      if (after === 'gelu slope') value *= slope(other.data[at]!);
      expected[at] = value + (adds ? old.data[at]! : 0);
    }
  const where = `${variant} ${M}x${N}x${K} form ${form}, ${after}`;
  expect(relativeError(await read(out), expected), where).toBeLessThan(1e-5);
  if (after === 'gelu') expect(relativeError(await read(side), before), `${where}: side`).toBeLessThan(1e-5);
  if (after.startsWith('sums')) {
    const total = Float64Array.from({ length: N }, (_, n) => (adds ? sums.data[n]! : 0));
    for (let k = 0; k < K; k++)
      for (let n = 0; n < N; n++) total[n]! += b.data[transposeB ? n * K + k : k * N + n]!;
    expect(relativeError(await read(sumsOut), total), `${where}: sums`).toBeLessThan(1e-5);
  }
  for (const tensor of new Set([...Object.values(on), out, sumsOut, side])) tensor.free();
}

function nan(shape: readonly number[]): Arr {
  return { shape, data: new Float64Array(shape.reduce((x, y) => x * y)).fill(Number.NaN) };
}

function shapeOf(sizes: Sizes, form: number, after: After): ProductShape {
  const epilogue = after !== 'nothing' && after !== 'add';
  return { ...sizes, transposeA: form >= 2, transposeB: form % 2 === 1, epilogue };
}

/** Sums go down a B that is stored as it is. */
const fits = (form: number, after: After): boolean => !after.startsWith('sums') || form % 2 === 0;

const sizes = fc
  .record({
    M: fc.integer({ min: 1, max: 70 }),
    N: fc.integer({ min: 1, max: 70 }),
    K: fc.integer({ min: 1, max: 70 }),
  })
  .chain(({ M, N, K }) =>
    fc.constantFrom({ M, N, K }, { M: 4 * M, N: 4 * N, K: 4 * K }, { M, N, K: 32 * K }),
  );

const agrees = (device: Gpu) =>
  fc.asyncProperty(sizes, fc.nat(3), fc.constantFrom(...AFTER), fc.nat(), async (dims, form, after, seed) => {
    fc.pre(fits(form, after));
    const variants = matmulVariants(device, shapeOf(dims, form, after));
    await check(device, variants[seed % variants.length]!, dims, form, after, seed);
  });

describe('every variant of the product', () => {
  it('agrees with float64 in all forms', async () => {
    const tried = new Set<string>();
    for (const dims of [
      { M: 33, N: 65, K: 19 },
      { M: 20, N: 36, K: 512 },
    ])
      for (const form of [0, 1, 2, 3])
        for (const variant of matmulVariants(gpu, shapeOf(dims, form, 'nothing'))) {
          await check(gpu, variant, dims, form, 'nothing', form);
          tried.add(variant);
        }
    expect(tried.size).toBe(gpu.features.has('subgroups') ? 14 : 6);
    expect([...tried].every(isMatmulVariant)).toBe(true);
  });

  it('agrees with float64 on drawn shapes, with anything that may follow', async () => {
    await fc.assert(agrees(gpu), { numRuns: 30, seed: 11 });
  });

  it('does so without subgroups', async () => {
    for (const after of AFTER)
      for (const variant of matmulVariants(plain, shapeOf({ M: 64, N: 64, K: 512 }, 0, after)))
        expect(matmulForm(variant).kernel).toBe('matmul-tiled');
    await fc.assert(agrees(plain), { numRuns: 15, seed: 12 });
  });
});

it('gives the same bits with any tile of one kernel', async () => {
  const random = seeded(11);
  const [a, b] = [normal([36, 52], random), normal([52, 40], random)];
  const bits = new Map<string, Float32Array>();
  const shape: ProductShape = { M: 36, N: 40, K: 52, transposeA: false, transposeB: false, epilogue: false };
  for (const variant of matmulVariants(gpu, shape)) {
    const c = empty(gpu, [36, 40]);
    const [A, B] = [onDevice(gpu, a), onDevice(gpu, b)].map(matrix => ({ matrix, transposed: false }));
    product(gpu, A!, B!, { tensor: c, beta: 0 }, { variant });
    const { kernel, parts } = matmulForm(variant);
    const result = await read(c);
    expect(result, variant).toEqual(bits.get(`${kernel} ${parts}`) ?? result);
    bits.set(`${kernel} ${parts}`, result);
  }
  expect(bits.size).toBeGreaterThan(2);
});

it('computes parts of a product by any variant, and touches nothing else', async () => {
  const [M, N, K] = [96, 64, 512];
  const random = seeded(3);
  const [a, b, old] = [normal([M, K], random), normal([K, N], random), normal([M, N], random)];
  const [A, B] = [onDevice(gpu, a), onDevice(gpu, b)];
  // Rows from 32 on in full; of those before, columns from 16 on, and the inner indices from 256 on only.
  const ranges = [{ m0: 32 }, { m1: 32, n0: 16, k0: 256 }];
  const expected = Float64Array.from(old.data);
  for (let m = 0; m < M; m++)
    for (let n = m < 32 ? 16 : 0; n < N; n++)
      for (let k = m < 32 ? 256 : 0; k < K; k++)
        expected[m * N + n]! += a.data[m * K + k]! * b.data[k * N + n]!;
  for (const variant of matmulVariants(gpu, shapeOf({ M, N, K }, 0, 'nothing'))) {
    const c = onDevice(gpu, old);
    const [left, right] = [A, B].map(matrix => ({ matrix, transposed: false }));
    product(gpu, left!, right!, { tensor: c, beta: 1 }, { variant, ranges });
    expect(relativeError(await read(c), expected), variant).toBeLessThan(1e-5);
    c.free();
  }
});

it('refuses GELU on what is added to, which kernels would compute differently', async () => {
  const [x, y] = [onDevice(gpu, normal([4, 4], seeded(1))), onDevice(gpu, normal([4, 4], seeded(2)))];
  const X = { matrix: x, transposed: false };
  expect(() => product(gpu, X, X, { tensor: y, beta: 1 }, { geluAt: x })).toThrow(
    'matmul: GELU cannot follow a product that is added to [4,4]',
  );
});
