// A device at work: reads in and out of order, grids and bindings at their limits, more dispatches than the uniform
// arena holds, counts, profiler, and two devices side by side.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { fill } from '../../src/flat.ts';
import { foldGrid, type Gpu } from '../../src/gpu/gpu.ts';
import { type MatmulVariant, product } from '../../src/ops/product.ts';
import { Tape } from '../../src/tape.ts';
import { empty, read, type Tensor, upload } from '../../src/tensor.ts';
import { testGpu } from '../device.ts';
import { relativeError, seeded } from '../numbers.ts';
import { AFFINE, CHAIN, gpuOfTest, gpuWith } from './kernels.ts';

const gpu = await gpuWith({ affine: AFFINE, chain: CHAIN });

const chain = (y: Tensor, factor: number, add: number): void =>
  y.gpu.run('chain', { y }, { factor, add }, { groups: 1 });

describe('reads', () => {
  it('see the value of their time, however late they are looked at', async () => {
    const y = upload(gpu, Float32Array.of(1), [1]);
    const early: Promise<Float32Array>[] = [];
    for (let k = 0; k < 6; k++) {
      early.push(read(y));
      chain(y, 2, 1);
    }
    y.free();
    const other = upload(gpu, Float32Array.of(-1), [1]);
    chain(other, 1, -1);
    expect((await Promise.all(early)).map(([value]) => value)).toEqual([1, 3, 7, 15, 31, 63]);
    other.free();
  });

  it('may be awaited in any order', async () => {
    const y = upload(gpu, Float32Array.of(0), [1]);
    const asked = Array.from({ length: 5 }, (_, k) => {
      chain(y, 0, k);
      return read(y);
    });
    for (const k of [3, 0, 4, 1, 2]) expect((await asked[k]!)[0]).toBe(k);
    y.free();
  });

  it('give copies of their own, of exactly the tensor', async () => {
    const x = upload(
      gpu,
      Float32Array.from({ length: 300 }, (_, i) => i),
      [300],
    );
    const [a, b, rows] = await Promise.all([read(x), read(x), read(x.rows(64, 131))]);
    a.fill(7);
    expect(b).toEqual(Float32Array.from({ length: 300 }, (_, i) => i));
    expect(rows).toEqual(Float32Array.from({ length: 67 }, (_, i) => 64 + i));
    // The same staging buffer again, larger than what is read.
    const small = upload(gpu, Float32Array.of(5), [1]);
    expect(await read(small)).toEqual(Float32Array.of(5));
    small.free();
    x.free();
  });

  it('go through buffers of at most the largest size, of which large ones are not kept', async () => {
    const most = 2 ** 24 + 2 ** 20;
    const device = await testGpu({ poison: false, limits: { maxBuffer: most } });
    const made = vi.spyOn(device.device, 'createBuffer');
    const x = empty(device, [most / 4]);
    made.mockClear();
    for (let time = 0; time < 2; time++) expect((await read(x)).length).toBe(most / 4);
    expect(made.mock.calls.map(([{ size }]) => size)).toEqual([most, most]);
    made.mockClear();
    const y = x.view([most / 4]).rows(0, 64);
    for (let time = 0; time < 2; time++) await read(y);
    expect(made.mock.calls.map(([{ size }]) => size)).toEqual([256]);
    made.mockRestore();
    x.free();
  });
});

describe('grids', () => {
  it('fold to at least the groups asked for, and barely more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 22 }),
        fc.integer({ min: 2049, max: 65535 }),
        (groups, most) => {
          const [x, y, z] = foldGrid(groups, most);
          expect(z).toBe(1);
          expect(Math.max(x, y)).toBeLessThanOrEqual(most);
          expect(x * y).toBeGreaterThanOrEqual(groups);
          expect(x * y - groups).toBeLessThan(y);
        },
      ),
    );
  });

  it('over the limit of one dimension reach every element, once', async () => {
    const folding = await gpuOfTest({ limits: { maxGroups: 5 } }, { affine: AFFINE, chain: CHAIN });
    for (const size of [5 * 64, 5 * 64 + 1, 11 * 64 - 3, 25 * 64]) {
      const x = upload(
        folding,
        Float32Array.from({ length: size }, (_, i) => i),
        [size],
      );
      const y = empty(folding, [size]);
      const groups = Math.ceil(size / 64);
      folding.run('affine', { x, y }, { count: size, a: 1, b: 3 }, { groups });
      expect(await read(y)).toEqual(Float32Array.from({ length: size }, (_, i) => 1 + 3 * i));
    }
    const x = upload(folding, new Float32Array(1), [1]);
    const run = (): void => chain26(folding, x);
    expect(run).toThrow(/a grid of 5×6×1 workgroups is over the limit of 5/);
  });
});

function chain26(on: Gpu, y: Tensor): void {
  on.run('chain', { y }, { factor: 1, add: 0 }, { groups: 26 });
}

describe('parameters', async () => {
  const TEXTS = { affine: AFFINE, chain: CHAIN };
  const immediate = await gpuWith(TEXTS);
  const stored = await gpuWith(TEXTS, { limits: { maxImmediate: 0 } });

  // The arena is full after 4,096 dispatches, and then all that were recorded are submitted.
  it.each([
    ['immediates', immediate, 0],
    ['in the uniform arena', stored, 2],
  ])('that are %s: each of 9,000 dispatches sees its own, in order', async (_, on, submitted) => {
    const y = upload(on, Float32Array.of(0), [1]);
    const { submits } = on.counts;
    let expected = 0;
    for (let k = 0; k < 9000; k++) {
      const [factor, add] = k % 100 === 99 ? [0.25, k % 8] : [1, k % 16];
      on.run('chain', { y }, { factor, add }, { groups: 1 });
      expected = Math.fround(expected * factor + add); // exact: small multiples of powers of 2
    }
    expect(on.counts.submits).toBe(submits + submitted);
    expect((await read(y))[0]).toBe(expected);
    y.free();
  });

  it('are immediates up to the limit, and mix with those that are not', async () => {
    expect(immediate.limits.maxImmediate).toBeGreaterThanOrEqual(64);
    // Parameters count in steps of 16 bytes: chain's are 16, those of wide 32.
    const wide = CHAIN.replace('add: f32', 'add: f32, b: f32, c: f32, d: f32').replace(
      'p.add',
      '(p.add + p.d)',
    );
    const mixed = await gpuOfTest({ limits: { maxImmediate: 16 } }, { chain: CHAIN, wide });
    const y = upload(mixed, Float32Array.of(1), [1]);
    for (let k = 1; k <= 5000; k++) {
      mixed.run('chain', { y }, { factor: 1, add: k % 7 }, { groups: 1 });
      mixed.run('wide', { y }, { factor: k % 1000 ? 1 : 0.5, add: 1, b: 0, c: 0, d: k % 3 }, { groups: 1 });
    }
    let expected = 1;
    for (let k = 1; k <= 5000; k++)
      expected = Math.fround((expected + (k % 7)) * (k % 1000 ? 1 : 0.5) + 1 + (k % 3));
    expect((await read(y))[0]).toBe(expected);
    expect(mixed.counts.submits).toBe(2); // 5,000 of them filled the arena once.
  });

  it('are checked alike wherever they are', () => {
    for (const on of [immediate, stored]) {
      const y = empty(on, [1]);
      const run = (params: Record<string, number>) => () => on.run('chain', { y }, params, { groups: 1 });
      expect(run({ factor: 1 })).toThrow(/^chain: parameter "add" is missing/);
      expect(run({ factor: 1, add: 1, more: 1 })).toThrow(/^chain: the shader has no parameter "more"/);
      y.free();
    }
  });

  it('change no bit of a kernel by where they are', async () => {
    const results = [];
    for (const on of [immediate, stored]) {
      const random = seeded(5);
      const data = Float32Array.from({ length: 37 * 52 }, () => random() - 0.5);
      const a = upload(on, data, [37, 52]);
      const b = upload(on, data.slice(0, 52 * 24), [52, 24]);
      const c = empty(on, [37, 24]);
      product(on, { matrix: a, transposed: false }, { matrix: b, transposed: false }, { tensor: c, beta: 0 });
      results.push(await read(c));
    }
    expect(results[0]).toEqual(results[1]);
  });
});

it('counts dispatches and submits', async () => {
  const quiet = await gpuOfTest({ poison: false });
  expect(quiet.counts).toEqual({ dispatches: 0, submits: 0, flops: 0 });
  const x = upload(quiet, Float32Array.of(1, 2), [2]);
  const y = empty(quiet, [2]);
  for (let k = 0; k < 3; k++) quiet.run('add', { a: x, b: x, y }, { count: 2 }, { groups: 1 });
  expect(() => quiet.run('add', { a: x, b: x, y }, {}, { groups: 1 })).toThrow(/"count" is missing/);
  expect(quiet.counts).toEqual({ dispatches: 3, submits: 0, flops: 0 });
  quiet.submit();
  quiet.submit();
  await quiet.finish();
  expect(quiet.counts).toEqual({ dispatches: 3, submits: 1, flops: 0 });
  await read(y);
  expect(quiet.counts).toEqual({ dispatches: 3, submits: 2, flops: 0 });
});

describe('bindings', async () => {
  const LIMIT = 2 ** 16; // bytes; 64 rows of 256 floats
  const narrow = await testGpu({ poison: false, limits: { maxBinding: LIMIT } });

  const drawn = (on: Gpu, shape: number[], seed: number): Tensor => {
    const random = seeded(seed);
    return upload(
      on,
      Float32Array.from({ length: shape[0]! * shape[1]! }, () => random() - 0.5),
      shape,
    );
  };

  /** op(A)·op(B) + bias, added to a C that held something, of matrices that are the same on both devices. */
  async function product_(on: Gpu, [M, N, K]: number[], ta: boolean, tb: boolean, variant: MatmulVariant) {
    const a = drawn(on, ta ? [K!, M!] : [M!, K!], 1);
    const b = drawn(on, tb ? [N!, K!] : [K!, N!], 2);
    const [fresh, added] = [empty(on, [M!, N!]), drawn(on, [M!, N!], 3)];
    const bias = drawn(on, [1, N!], 4);
    const [A, B] = [
      { matrix: a, transposed: ta },
      { matrix: b, transposed: tb },
    ];
    product(on, A, B, { tensor: fresh, beta: 0 }, { bias, variant });
    product(on, A, B, { tensor: added, beta: 1 }, { variant });
    const result = [await read(fresh), await read(added)] as const;
    for (const tensor of [a, b, fresh, added, bias]) tensor.free();
    return result;
  }

  const forms = [false, true].flatMap(ta => [false, true].map(tb => [ta, tb] as const));

  it.each([
    ['A', [200, 24, 120]],
    ['B', [24, 200, 120]],
    ['C', [200, 190, 7]],
    ['A, B and C', [200, 190, 180]],
  ] as [string, number[]][])('a product whose %s exceeds them is that of one piece', async (_, dims) => {
    for (const [ta, tb] of forms) {
      const { dispatches } = narrow.counts;
      const parts = await product_(narrow, dims, ta, tb, 'quad-16x16');
      expect(narrow.counts.dispatches - dispatches, 'dispatches of two products').toBeGreaterThan(2);
      const whole = await product_(gpu, dims, ta, tb, 'quad-16x16');
      for (const [k, values] of parts.entries())
        expect(relativeError(values, whole[k]!), `${dims} ${ta} ${tb}`).toBeLessThan(2e-6);
    }
  });

  it('a fill and the zeros of an unused gradient go in pieces', async () => {
    const size = 3 * (LIMIT / 4) + 77;
    const x = upload(narrow, new Float32Array(4), [4]);
    const [gradient, used] = [empty(narrow, [size]), empty(narrow, [4])];
    narrow.write(gradient.range, new Float32Array(size).fill(NaN));
    const big = empty(narrow, [size]);
    const tape = new Tape(narrow);
    tape.watch(big, gradient);
    tape.watch(x, used);
    tape.backward(x);
    expect((await read(gradient)).every(value => value === 0)).toBe(true);
    fill(big, 2.5);
    expect((await read(big)).every(value => value === 2.5)).toBe(true);
  });
});

it('two devices in one process stand alone', async () => {
  const other = await gpuOfTest({}, { affine: CHAIN.replace('p.factor', '10.0'), chain: CHAIN });
  const ours = upload(gpu, Float32Array.of(1), [1]);
  const theirs = upload(other, Float32Array.of(2), [1]);
  const [oursBefore, theirsBefore] = [{ ...gpu.pool.memory }, { ...other.pool.memory }];
  for (let k = 0; k < 3; k++) {
    chain(ours, 2, 1);
    chain(theirs, 3, 0);
    // One name, two texts.
    other.run('affine', { y: theirs }, { factor: 10, add: 1 }, { groups: 1 });
  }
  const [a, b] = await Promise.all([read(ours), read(theirs)]);
  expect(a[0]).toBe(15);
  expect(b[0]).toBe(((2 * 30 + 1) * 30 + 1) * 30 + 1);
  expect(gpu.pool.memory).toEqual(oursBefore);
  expect(other.pool.memory).toEqual(theirsBefore);
  // A tensor of one is nothing to the other.
  other.run('chain', { y: ours }, { factor: 1, add: 1 }, { groups: 1 });
  await expect(other.finish()).rejects.toMatchObject({ name: 'GpuValidationError', kernel: 'chain' });
  expect((await read(ours))[0]).toBe(15);
  ours.free();
});

describe('the profiler', () => {
  it('is not there unless asked for', () => {
    expect(gpu.profiler).toBeUndefined();
  });

  it('totals time and calls of each kernel variant', async () => {
    const profiled = await gpuOfTest({ profile: true, poison: false }, { affine: AFFINE, chain: CHAIN });
    const { profiler } = profiled;
    if (!profiled.features.has('timestamp-query')) {
      expect(profiler).toBeUndefined();
      return;
    }
    const y = upload(profiled, Float32Array.of(0), [1]);
    const x = upload(profiled, new Float32Array(2 ** 16), [2 ** 16]);
    const z = empty(profiled, [2 ** 16]);
    await profiler!.collect();
    expect(profiler!.times()).toEqual([]);
    for (let round = 1; round <= 2; round++) {
      for (let k = 0; k < 20; k++) chain(y, 1, 1);
      profiled.run('affine', { x, y: z }, { count: 2 ** 16, a: 1, b: 1 }, { groups: 2 ** 10 });
      profiled.run('add', { a: x, b: x, y: z }, { count: 4 }, { groups: 1, consts: { ITEMS: 1 } });
      await profiled.finish();
      await profiler!.collect();
      const calls = Object.fromEntries(profiler!.times().map(time => [time.label, time.calls]));
      expect(calls).toEqual({ chain: 20 * round, affine: round, 'add[ITEMS=1]': round });
    }
    const times = profiler!.times().map(({ ms }) => ms);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(times.every(ms => ms >= 0)).toBe(true);
    expect(times[0]).toBeGreaterThan(0);
    expect((await read(y))[0]).toBe(40);
  });

  it('measures more dispatches than one set of queries holds', async () => {
    const profiled = await gpuOfTest({ profile: true }, { chain: CHAIN });
    const { profiler } = profiled;
    if (!profiler) return;
    const y = upload(profiled, Float32Array.of(0), [1]);
    for (let k = 0; k < 2050; k++) chain(y, 1, 1);
    expect((await read(y))[0]).toBe(2050);
    const { dispatches } = await profiler.collect();
    expect(profiler.times()).toMatchObject([{ label: 'chain', calls: 2050 }]);
    // A chain of dependent dispatches runs in order, whichever set measured which.
    for (const [i, { start, end }] of dispatches.entries()) {
      expect(end).toBeGreaterThanOrEqual(start);
      if (i > 0) expect(start).toBeGreaterThanOrEqual(dispatches[i - 1]!.end);
    }
  });
});
