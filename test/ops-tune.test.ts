// The tuner: who wins a race and what is not worth one, on a trial that keeps its own time; and real products, right
// and wrong, on the device.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GpuError, GpuLostError } from '../src/gpu/errors.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import {
  defaultVariant,
  type MatmulVariant,
  matmulForm,
  matmulVariants,
  type ProductShape,
  product,
} from '../src/ops/product.ts';
import { CompileTimes } from '../src/ops/tuning/compile-times.ts';
import { type Contestant, Races, type Stake, type Trial } from '../src/ops/tuning/race.ts';
import { ProductTrial } from '../src/ops/tuning/trial.ts';
import { type Raced, settle, tune } from '../src/ops/tuning/tune.ts';
import { readShaders } from '../src/platform/node.ts';
import { empty, type FloatType, type Tensor } from '../src/tensor.ts';
import { testGpu } from './device.ts';
import { gpuOfTest } from './gpu/kernels.ts';

interface Made {
  readonly ms: number;
  readonly compileMs?: number;
  readonly kernel?: string;
  readonly size?: number;
  readonly wrong?: boolean;
}

/** A trial with a clock of its own: `ms` a call, and `compileMs` before a text's first. */
function fake(made: Readonly<Record<string, Made>>) {
  let clock = 0;
  const compiled = new Set<string>();
  const tried: string[] = [];
  const contestants = Object.entries(made).map(([name, { kernel = 'k', size = 256 }]) => {
    return { name, kernel, size, text: `${kernel} ${size} ${name}` };
  });
  const trial: Trial = {
    contestants,
    passes: async name => !made[name]!.wrong,
    async time(name, calls) {
      const before = clock;
      if (!compiled.has(name)) {
        compiled.add(name);
        tried.push(name);
        clock += made[name]!.compileMs ?? 0;
      }
      clock += calls * made[name]!.ms;
      return clock - before;
    },
  };
  return { trial, tried, now: () => clock };
}

const MUCH: Stake = { own: 1e6, shared: 1e6 };

describe('a race', () => {
  const run = async (made: Readonly<Record<string, Made>>, stake = MUCH, budget = 1e9) => {
    const { trial, tried, now } = fake(made);
    const races = new Races(3, () => budget - now());
    const times = await races.run(trial, stake);
    return { times: times && Object.fromEntries(times), tried, failed: [...races.failed] };
  };

  it('times those that are not far behind, and always the default', async () => {
    const { times, tried } = await run({
      default: { ms: 4 },
      fast: { ms: 1 },
      near: { ms: 1.125 },
      behind: { ms: 1.25 },
    });
    expect(times).toEqual({ default: 4, fast: 1, near: 1.125 });
    expect(tried).toEqual(['default', 'fast', 'near', 'behind']);
  });

  it('is never won by what computes something wrong, be it the default', async () => {
    const { times, failed } = await run({
      default: { ms: 4 },
      fast: { ms: 1, wrong: true },
      near: { ms: 3 },
    });
    expect(times).toEqual({ default: 4, near: 3 });
    expect(failed).toEqual(['fast']);
    expect((await run({ default: { ms: 1, wrong: true }, other: { ms: 1.4 } })).times).toEqual({
      other: 1.4,
    });
    expect((await run({ default: { ms: 1, wrong: true } })).times).toEqual({});
  });

  it('is not run where less is at stake than it costs', async () => {
    const made = { default: { ms: 2 }, fast: { ms: 1 } };
    expect((await run(made, { own: 100, shared: 1e6 })).tried).toEqual(['default']);
    expect((await run(made, { own: 200, shared: 1e6 })).tried).toEqual(['default', 'fast']);
  });

  it('compiles nothing that a win would not pay for', async () => {
    const made = {
      default: { ms: 2, compileMs: 100 },
      twice: { ms: 1, size: 512, compileMs: 250 },
      large: { ms: 1, size: 2048, compileMs: 1400 },
    };
    const { tried, times } = await run(made, { own: 1e4, shared: 1000 });
    expect(tried).toEqual(['default', 'twice']);
    expect(times).toEqual({ default: 2, twice: 1 });
  });

  it('gives up where the time runs out before all were tried', async () => {
    const made = { default: { ms: 2, compileMs: 100 }, other: { ms: 1, compileMs: 100 } };
    expect((await run(made, MUCH, 150)).times).toBeUndefined();
    expect((await run(made, MUCH, 150)).tried).toEqual(['default']);
    expect((await run(made, MUCH, 0)).tried).toEqual([]);
    expect((await run(made, MUCH, 1000)).times).toEqual({ default: 2, other: 1 });
  });

  it('tries one variant of a kernel that is far behind, and after two races none', async () => {
    const made = {
      default: { ms: 1 },
      sibling: { ms: 9 },
      slow1: { ms: 9, kernel: 'slow' },
      slow2: { ms: 0.5, kernel: 'slow' },
    };
    const races = new Races(1, () => 1e9);
    const tried: string[][] = [];
    for (let i = 0; i < 3; i++) {
      const one = fake(made);
      await races.run(one.trial, MUCH);
      tried.push(one.tried);
    }
    expect(tried).toEqual([
      ['default', 'sibling', 'slow1'],
      ['default', 'sibling', 'slow1'],
      ['default', 'sibling'],
    ]);
  });
});

describe('compile times', () => {
  const one = (kernel: string, size: number, text = `${kernel} ${size}`) => ({ kernel, size, text });

  it('are nothing for what was compiled, and grow with the tile', () => {
    const times = new CompileTimes();
    expect(times.expected(one('a', 256))).toBe(0);
    times.note(one('a', 256), 100);
    expect(times.expected(one('a', 256))).toBe(0);
    expect(times.likely(one('a', 256))).toBe(100);
    expect(times.expected(one('a', 256, 'transposed'))).toBe(100);
    expect(times.expected(one('a', 512))).toBeCloseTo(238, 0);
    expect(times.expected(one('b', 512))).toBeCloseTo(238, 0);
    // A kernel's own times count more; one that came from a compiler's cache says little.
    times.note(one('b', 512), 1000);
    times.note(one('b', 1024), 0);
    times.note(one('b', 512), 5);
    expect(times.expected(one('b', 256))).toBeCloseTo(420, 0);
    expect(times.expected(one('b', 1024))).toBe(0);
    expect(times.likely(one('b', 1024))).toBeCloseTo(2378, 0);
    expect(times.expected(one('a', 256, 'other'))).toBe(100);
  });
});

describe('what is chosen', () => {
  const contestant = (name: string): Contestant => ({ name, kernel: 'k', size: 1, text: name });
  const raced = (uses: number, times: Record<string, number>, first = Object.keys(times)[0]!): Raced => ({
    asked: { op: 'matmul', shapeClass: 'c', uses },
    contestants: [first, ...Object.keys(times).filter(name => name !== first)].map(contestant),
    times: new Map(Object.entries(times)),
  });
  const names = (all: readonly Raced[], steps: number, margin: number, compileMs = 0) =>
    settle(all, () => compileMs, { steps, margin }).map(({ name }) => name);

  it('beats the default by the margin', () => {
    expect(names([raced(1, { a: 100, b: 94 })], 1, 0.07)).toEqual(['a']);
    expect(names([raced(1, { a: 100, b: 92, c: 90 })], 1, 0.07)).toEqual(['c']);
  });

  it('wins back what compiling it takes, alone or with others of its text', () => {
    const one = raced(2, { a: 10, b: 9 }); // 2 ms a step
    expect(names([one], 100, 0, 101)).toEqual(['a']);
    expect(names([one], 100, 0, 100)).toEqual(['b']);
    expect(names([one, raced(1, { a: 5, b: 4 })], 100, 0, 101)).toEqual(['b', 'b']);
    expect(names([one, raced(1, { a: 5, c: 1 })], 100, 0, 101)).toEqual(['a', 'c']);
  });

  it('replaces a default that computed something wrong, whatever that costs', () => {
    expect(names([raced(1, { b: 9 }, 'a')], 1, 0.5, 1e9)).toEqual(['b']);
  });

  it('is never slower than the default, and only what passed', () => {
    const times = fc.uniqueArray(
      fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.double({ min: 0.1, max: 10, noNaN: true })),
      {
        selector: ([name]) => name,
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(
        fc.array(times),
        fc.double({ min: 0, max: 0.9, noNaN: true }),
        fc.nat(1000),
        (all, margin, compileMs) => {
          const races = all.map(entries => raced(1, Object.fromEntries(entries), 'a'));
          for (const [i, name] of names(races, 100, margin, compileMs).entries()) {
            const { times } = races[i]!;
            if (times.has('a')) expect(times.get(name)).toBeLessThanOrEqual(times.get('a')!);
            else expect(times.has(name)).toBe(true);
          }
        },
      ),
      { seed: 5 },
    );
  });
});

const SHAPE = { M: 64, N: 64, K: 64, transposeA: false, transposeB: false, epilogue: false };
const EFFORT = { budgetMs: 200_000, steps: 1e9, margin: 0, rounds: 1 };

/** Asks for the product of a 64 × 64 matrix with itself, as a rehearsal does. */
function ask(gpu: Gpu, dtype: FloatType = 'f32'): { x: Tensor; y: Tensor } {
  const x = empty(gpu, [64, 64], dtype);
  const y = empty(gpu, [64, 64], dtype);
  gpu.choices.weight = 1;
  const X = { matrix: x, transposed: false };
  product(gpu, X, X, { tensor: y, beta: 0 });
  gpu.choices.weight = 0;
  return { x, y };
}

/** The repository's shaders with the last element that `kernel` stores left out. */
function leavingOut(...kernels: string[]): Record<string, string> {
  const shaders = readShaders();
  const wrong = kernels.map(name => {
    const text = shaders.get(name)!;
    expect(text.split('c[at] = value;')).toHaveLength(2);
    return [name, text.replace('c[at] = value;', 'if (at != 4095u) { c[at] = value; }')];
  });
  return Object.fromEntries(wrong);
}

describe('tuning on the device', () => {
  it('chooses a variant for every class that was asked for, and keeps no memory', async () => {
    const gpu = await gpuOfTest();
    const { x, y } = ask(gpu);
    const live = gpu.pool.memory.live;
    const report = await tune(gpu, EFFORT);
    expect(gpu.pool.memory.live).toBe(live);
    expect(report).toMatchObject({ open: 1, settled: 1, failed: [] });
    expect(gpu.choices.open).toEqual([]);
    const [chosen] = Object.values(gpu.choices.chosen);
    expect(matmulVariants(gpu, SHAPE)).toContain(chosen);
    const [change] = report.changes;
    expect(change?.to ?? defaultVariant(gpu, SHAPE)).toBe(chosen);
    for (const tensor of [x, y]) tensor.free();
  });

  it('never chooses a variant that leaves out an element, not even the default', async () => {
    const { kernel } = matmulForm(defaultVariant(await gpuOfTest(), SHAPE));
    const gpu = await gpuOfTest({}, leavingOut(kernel));
    ask(gpu);
    const report = await tune(gpu, EFFORT);
    const [chosen] = Object.values(gpu.choices.chosen);
    expect(matmulForm(chosen as MatmulVariant).kernel).not.toBe(kernel);
    expect(report.failed).toContain(defaultVariant(gpu, SHAPE));
    expect(report.changes).toHaveLength(1);
  });

  it('fails where no variant is right', async () => {
    const gpu = await gpuOfTest({}, leavingOut('matmul-tiled', 'matmul-quad', 'matmul-quad-vec'));
    ask(gpu);
    const failed = tune(gpu, EFFORT);
    await expect(failed).rejects.toThrow(GpuError);
    await expect(failed).rejects.toThrow(
      'matmul: no variant of it computes 64x64x64 NN fours right on this device',
    );
  });

  it('fails where the device is lost', async () => {
    const gpu = await gpuOfTest();
    ask(gpu);
    await gpu.finish();
    gpu.device.destroy();
    await gpu.device.lost;
    await expect(tune(gpu, EFFORT)).rejects.toThrow(GpuLostError);
  });

  it('leaves defaults where no time is left, or the user wants to stop', async () => {
    const gpu = await gpuOfTest();
    ask(gpu);
    for (const hurry of [{ budgetMs: 0 }, { stopping: () => true }])
      expect(await tune(gpu, { ...EFFORT, ...hurry })).toMatchObject({ open: 1, settled: 0, changes: [] });
    expect(gpu.choices.chosen).toEqual({});
    expect(gpu.choices.open).toHaveLength(1);
  });

  it('measures a large product on a part that runs all of its variants', async () => {
    const gpu = await gpuOfTest();
    const large = { M: 5000, N: 1111, K: 4096, transposeA: true, transposeB: false, epilogue: false };
    const trial = new ProductTrial(gpu, large);
    expect(trial.scale).toBeGreaterThan(4);
    const names = trial.contestants.map(({ name }) => name);
    expect(names.toSorted()).toEqual(matmulVariants(gpu, large).toSorted());
    expect(names[0]).toBe(defaultVariant(gpu, large));
    expect(await trial.passes(names[0]!)).toBe(true);
    trial.free();
  });
});

const half = await testGpu();

describe.skipIf(!half.features.has('shader-f16'))(
  'tuning with f16 (needs an adapter with shader-f16)',
  () => {
    it('measures classes of their own, on matrices that are stored so', async () => {
      const gpu = await gpuOfTest();
      const tensors = [ask(gpu), ask(gpu, 'f16')].flatMap(({ x, y }) => [x, y]);
      const classes = gpu.choices.open.map(({ shapeClass }) => shapeClass);
      expect(classes).toEqual(['64x64x64 NN fours', '64x64x64 NN fours f16:abc']);
      const { live } = gpu.pool.memory;
      expect(await tune(gpu, EFFORT)).toMatchObject({ open: 2, settled: 2, failed: [] });
      expect(gpu.pool.memory.live).toBe(live);
      expect(Object.keys(gpu.choices.chosen)).toEqual(classes.map(name => `matmul ${name}`));
      for (const tensor of tensors) tensor.free();
    });

    it.each([[['a', 'b']], [['c']]] as const)(
      'every variant passes its check with %j in f16, and none that leaves out an element',
      async halves => {
        const shape: ProductShape = { ...SHAPE, halves };
        const gpu = await gpuOfTest();
        const trial = new ProductTrial(gpu, shape);
        for (const { name } of trial.contestants) expect(await trial.passes(name), name).toBe(true);
        const broken = await gpuOfTest({}, leavingOut('matmul-tiled', 'matmul-quad', 'matmul-quad-vec'));
        const wrong = new ProductTrial(broken, shape);
        for (const { name } of wrong.contestants) expect(await wrong.passes(name), name).toBe(false);
      },
    );
  },
);
