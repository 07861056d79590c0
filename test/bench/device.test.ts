// The bench on a device: what its ceiling kernels compute, how they are turned into rates, what an op is found to
// launch, and that a wrong kernel is not timed.
import { describe, expect, it } from 'vitest';
import { Clock } from '../../bench/clock.ts';
import { launchesOf, variantName } from '../../bench/launches.ts';
import { timeCalls } from '../../bench/measure.ts';
import { prepare } from '../../bench/subject.ts';
import { copy, fill } from '../../src/flat.ts';
import { gelu } from '../../src/ops/gelu.ts';
import { readShaders } from '../../src/platform/node.ts';
import { empty, read, upload } from '../../src/tensor.ts';
import { CACHED_BYTES, measureCeilings, measureDispatch, type Stopwatch } from '../../src/train/ceiling.ts';
import { geluCase } from '../cases/gelu.ts';
import { layernormCase } from '../cases/layernorm.ts';
import { testGpu } from '../device.ts';
import { gpuOfTest } from '../gpu/kernels.ts';

const gpu = await testGpu();

describe('ceiling kernels', () => {
  it.each([false, true])('stream: copies every value (RUNS %s)', async RUNS => {
    const values = Float32Array.from({ length: 4 * 64 * 4 * 3 }, (_, i) => i + 1);
    const x = upload(gpu, values, [values.length]);
    const y = empty(gpu, [values.length]);
    const how = { groups: 4, consts: { STEPS: 4, RUNS }, unroll: true }; // One workgroup more than there is work for.
    gpu.run('stream-ceiling', { x, y }, { count: values.length / 4 }, how);
    expect(await read(y)).toEqual(values);
    x.free();
    y.free();
  });

  it.each([false, true])('cached: loads every value of the buffer equally often (RUNS %s)', async RUNS => {
    const size = 64 * 8 * 2; // vec4s: two turns of a workgroup are once around
    const values = Float32Array.from({ length: 4 * size }, (_, i) => i % 7);
    const x = upload(gpu, values, [values.length]);
    const y = empty(gpu, [3 * 64]);
    gpu.run(
      'cached-ceiling',
      { x, y },
      { size, turns: 4 },
      { groups: 3, consts: { STEPS: 8, RUNS }, unroll: true },
    );
    const sums = await read(y);
    const whole = values.reduce((a, b) => a + b, 0);
    for (let group = 0; group < 3; group++)
      expect(sums.slice(64 * group, 64 * (group + 1)).reduce((a, b) => a + b, 0)).toBe(2 * whole);
    x.free();
    y.free();
  });

  it('rates are amounts over the time of the least disturbed run', async () => {
    // A stopwatch by which every dispatch takes 50 ms, so that one is measured at a time; the fourth run is the best.
    let run = 0;
    const time: Stopwatch = async record => {
      const before = gpu.counts.dispatches;
      record();
      await gpu.finish();
      return (gpu.counts.dispatches - before) * (run++ % 4 === 3 ? 50 : 60);
    };
    expect(await measureDispatch(gpu, time)).toBeCloseTo(0.05, 10);
    const ceilings = await measureCeilings(gpu, time);
    expect(ceilings.dispatch).toBeCloseTo(0.05, 10);
    // 64 MiB read and written in 50 ms on a CPU-run adapter, twice as much on others.
    expect(ceilings.stream).toBeCloseTo((2 * (gpu.cpuRun ? 2 ** 26 : 2 ** 27)) / 0.05, -3);
    expect(ceilings.cached).toBeGreaterThanOrEqual(ceilings.stream);
    expect(ceilings.fma).toBeCloseTo((2 * 64 * 64 * (gpu.cpuRun ? 256 : 2048)) / 0.05, -3);
    expect(CACHED_BYTES).toBeLessThan(2 ** 20);
  });
});

describe('the clock', () => {
  it('measures recorded work by both clocks, whatever was recorded before, and leaves the device as it was', async () => {
    const x = empty(gpu, [1024]);
    const y = empty(gpu, [1024]);
    const clock = new Clock(gpu);
    copy(x, y);
    const { submits } = gpu.counts;
    const { wall, device } = await clock.time(() => {
      for (let i = 0; i < 10; i++) copy(x, y);
      gpu.submit(); // Two passes then.
      for (let i = 0; i < 10; i++) copy(y, x);
    });
    expect(gpu.counts.submits - submits).toBe(3);
    expect(device).toBeGreaterThan(0);
    expect(wall).toBeGreaterThan(0);
    if (clock.timestamps) expect(device).toBeLessThan(wall);
    expect(Object.hasOwn(gpu.device, 'createCommandEncoder')).toBe(false);
    await expect(clock.time(() => gpu.run('no-such-kernel', {}, {}, { groups: 1 }))).rejects.toThrow(
      'no-such-kernel',
    );
    expect(Object.hasOwn(gpu.device, 'createCommandEncoder')).toBe(false);
    x.free();
    y.free();
  });

  it('takes the wall clock where there are no timestamps', async () => {
    const plain = await gpuOfTest();
    Object.assign(plain, { features: new Set<string>() });
    const clock = new Clock(plain);
    const x = empty(plain, [64]);
    const { wall, device } = await clock.time(() => fill(x, 1));
    expect(clock.timestamps).toBe(false);
    expect(device).toBe(wall);
    expect(await read(x)).toEqual(new Float32Array(64).fill(1));
  });

  it('gives times of one call, of which it records many', async () => {
    const x = empty(gpu, [64]);
    const y = empty(gpu, [64]);
    let calls = 0;
    const { ms, wallMs, spread } = await timeCalls(new Clock(gpu), () => {
      calls++;
      copy(x, y);
    });
    expect(calls).toBeGreaterThan(14);
    for (const value of [ms, wallMs]) expect(value).toBeGreaterThan(0);
    expect(spread).toBeGreaterThanOrEqual(0);
    x.free();
    y.free();
  });
});

describe('what an op launches', () => {
  it('is found without a dispatch', () => {
    const x = upload(gpu, new Float32Array(64), [64]);
    const { dispatches } = gpu.counts;
    const launches = launchesOf(gpu, () => gelu.forward(gpu, { x }, undefined).output.free());
    expect(gpu.counts.dispatches).toBe(dispatches);
    expect(launches.filter(({ kernel }) => kernel !== 'fill')).toEqual([
      { kernel: 'gelu', key: expect.stringMatching(/^gelu.* 1$/), chosen: false },
    ]);
    expect(Object.hasOwn(gpu, 'run')).toBe(false);
    expect(Object.hasOwn(gpu.choices, 'pick')).toBe(false);
    x.free();
  });

  const launch = (key: string, chosen = false) => ({ kernel: key.split('[')[0]!, key, chosen });
  const forced = new Map([
    ['small', [launch('mm[4]'), launch('sum')]],
    ['large', [launch('mm[8]'), launch('sum')]],
    ['neither', [launch('mm[8]', true), launch('sum')]],
  ]);

  it.each([
    [['mm[4]', 'sum'], 'small'],
    [['mm[8]', 'sum'], 'large'],
    [['mm[4]', 'mm[8]', 'sum'], 'small+large'],
    [['mm[16]', 'sum'], 'mm'],
    [['sum'], 'sum'],
  ])('names the variants of %j', (keys, name) => {
    expect(
      variantName(
        keys.map(key => launch(key)),
        forced,
      ),
    ).toBe(name);
  });

  it('names the kernels where there are no variants, each once', () => {
    expect(variantName([launch('a'), launch('b[1]'), launch('a')], new Map())).toBe('a+b');
  });
});

describe('a prepared case', () => {
  const DIMS = { M: 20, C: 24 };

  it('names the variant that is forced, for both passes, and frees all it took', async () => {
    const live = gpu.pool.memory.live;
    for (const variant of layernormCase.variants!.names(gpu, DIMS)) {
      const prepared = prepare(gpu, layernormCase, DIMS, variant);
      expect(prepared.subjects.map(subject => [subject.pass, subject.variant])).toEqual([
        ['forward', variant],
        ['backward', variant],
      ]);
      await prepared.check();
      for (const { call } of prepared.subjects) call();
      prepared.free();
      expect(gpu.pool.memory.live).toBe(live);
    }
    await gpu.finish();
  });

  it('is refused where a kernel is wrong, in one line', async () => {
    const shaders = new Map(readShaders());
    shaders.set('gelu-backward', shaders.get('gelu-backward')!.replace('exp(-1.59', 'exp(-1.60'));
    const wrong = await gpuOfTest({ shaders });
    const prepared = prepare(wrong, geluCase, DIMS);
    await expect(prepared.check()).rejects.toThrow(
      /^gelu M=20 C=24: dx is off by \S+ of its largest value, so it is not timed$/,
    );
    prepared.free();
  });
});
