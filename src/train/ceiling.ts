// What the adapter can do at best, measured by kernels that do nothing else: multiply-adds, memory traffic, loads that
// a cache serves, and what a dispatch costs. A run's speed and a bench's rows are shown as shares of it. Knows those
// kernels and how to time them; knows no model and no op.
import { copy, fill } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { empty } from '../tensor.ts';

/** Milliseconds taken by what `record` records. */
export type Stopwatch = (record: () => void) => Promise<number>;

export interface Ceilings {
  /** Floating-point operations a second; a multiply-add is two. */
  readonly fma: number;
  /** Bytes a second, read and written, of a copy too large for any cache. */
  readonly stream: number;
  /** Bytes a second of loads from a buffer of CACHED_BYTES; never taken below `stream`. */
  readonly cached: number;
  /** Seconds a dispatch adds that waits for the one before it. */
  readonly dispatch: number;
}

/** A buffer of this size stays in the last private cache of a CPU core, and in a GPU's second level. */
export const CACHED_BYTES = 256 * 1024;

/** Multiply-adds: chains a thread, and steps of each at a time. */
const CHAINS = 8;
const REPEATS = 8;
/** vec4s a thread copies, and loads a turn. */
const COPY_STEPS = 4;
const LOAD_STEPS = 8;
const THREADS = 64;

/** A measured run takes so long that starting it does not count, unless that needs more than MOST_UNITS. */
const RUN_MS = 30;
const MOST_UNITS = 2 ** 24;
const MEASURED = 4;

/** Starts when recording starts, and ends when the device has nothing left to do. */
export function wallClock(gpu: Gpu): Stopwatch {
  return async record => {
    const start = performance.now();
    record();
    await gpu.finish();
    return performance.now() - start;
  };
}

/** All four, in a second or two. */
export async function measureCeilings(gpu: Gpu, time: Stopwatch = wallClock(gpu)): Promise<Ceilings> {
  const fma = await measureCeiling(gpu, time);
  const stream = await measureStream(gpu, time);
  const cached = Math.max(stream, await measureCachedLoads(gpu, time));
  return { fma, stream, cached, dispatch: await measureDispatch(gpu, time) };
}

/**
 * Floating-point operations a second (a multiply-add is two) at best of a few short runs: on a shared machine the
 * best is the least disturbed. Takes a few tenths of a second.
 */
export async function measureCeiling(gpu: Gpu, time: Stopwatch = wallClock(gpu)): Promise<number> {
  const groups = gpu.cpuRun ? 256 : 2048;
  const y = empty(gpu, [groups * THREADS]);
  const how = { groups, consts: { CHAINS, REPEATS }, unroll: true };
  const seconds = await fastest(time, iterations => {
    gpu.run('fma-ceiling', { y }, { iterations, scale: 0.5 }, how);
  });
  y.free();
  return (2 * CHAINS * REPEATS * groups * THREADS) / seconds;
}

/** Bytes a second, read and written, of the faster of two ways to copy a buffer that no cache holds. */
export async function measureStream(gpu: Gpu, time: Stopwatch = wallClock(gpu)): Promise<number> {
  const bytes = Math.min(gpu.cpuRun ? 2 ** 26 : 2 ** 27, 2 ** Math.floor(Math.log2(gpu.limits.maxBinding)));
  const x = empty(gpu, [bytes / 4]);
  const y = empty(gpu, [bytes / 4]);
  fill(x, 1);
  const groups = bytes / 16 / THREADS / COPY_STEPS;
  const seconds = await fastestOf([false, true], RUNS => {
    const how = { groups, consts: { STEPS: COPY_STEPS, RUNS }, unroll: true };
    return fastest(time, copies => {
      for (let i = 0; i < copies; i++) gpu.run('stream-ceiling', { x, y }, { count: bytes / 16 }, how);
    });
  });
  x.free();
  y.free();
  return (2 * bytes) / seconds;
}

/** Bytes a second of the faster of two ways to load from a buffer of CACHED_BYTES again and again. */
export async function measureCachedLoads(gpu: Gpu, time: Stopwatch = wallClock(gpu)): Promise<number> {
  const groups = gpu.cpuRun ? 256 : 4096;
  const x = empty(gpu, [CACHED_BYTES / 4]);
  const y = empty(gpu, [groups * THREADS]);
  fill(x, 1);
  const seconds = await fastestOf([false, true], RUNS => {
    const how = { groups, consts: { STEPS: LOAD_STEPS, RUNS }, unroll: true };
    return fastest(time, turns => {
      gpu.run('cached-ceiling', { x, y }, { size: CACHED_BYTES / 16, turns }, how);
    });
  });
  x.free();
  y.free();
  return (16 * LOAD_STEPS * groups * THREADS) / seconds;
}

/** Seconds a dispatch, in a chain of small ones of which each reads what the one before wrote. */
export async function measureDispatch(gpu: Gpu, time: Stopwatch = wallClock(gpu)): Promise<number> {
  const x = empty(gpu, [THREADS]);
  const y = empty(gpu, [THREADS]);
  fill(x, 1);
  const seconds = await fastest(
    time,
    pairs => {
      for (let i = 0; i < pairs; i++) {
        copy(x, y);
        copy(y, x);
      }
    },
    1024,
  );
  x.free();
  y.free();
  return seconds / 2;
}

/** Least seconds a unit; `record(n)` records n units. Clears the compile time with a first run. */
async function fastest(time: Stopwatch, record: (units: number) => void, most = MOST_UNITS): Promise<number> {
  await time(() => record(1));
  let units = 1;
  while ((await time(() => record(units))) < RUN_MS && units < most) units *= 2;
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < MEASURED; run++) least = Math.min(least, await time(() => record(units)));
  return least / units / 1000;
}

async function fastestOf<T>(ways: readonly T[], seconds: (way: T) => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (const way of ways) least = Math.min(least, await seconds(way));
  return least;
}
