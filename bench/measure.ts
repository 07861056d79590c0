// Times calls of an op: many at once, again and again, by tinybench. Knows a clock and what is called; knows no op.
import { Bench } from 'tinybench';
import type { Clock } from './clock.ts';

/** Milliseconds of one call. */
export interface Timing {
  /** Median on the device's clock, or the wall's where the adapter has no timestamps. */
  readonly ms: number;
  /** Median by the wall clock, recording and waiting included. */
  readonly wallMs: number;
  /** The distance of the quartiles of `ms`. */
  readonly spread: number;
}

/** Calls recorded together take about so long, so that starting them does not count. */
const BATCH_MS = 20;
const MOST_CALLS = 256;
/** Batches take so long together, but are at least so many. */
const TOTAL_MS = 150;
const LEAST_BATCHES = 7;

/** Warms up, chooses how many calls to record together, and measures batches of them. */
export async function timeCalls(clock: Clock, call: () => void): Promise<Timing> {
  const batch = (calls: number) =>
    clock.time(() => {
      for (let i = 0; i < calls; i++) call();
    });
  await batch(1);
  const { wall: twice } = await batch(2);
  const calls = Math.min(MOST_CALLS, Math.max(1, Math.round((2 * BATCH_MS) / twice)));
  const walls: number[] = [];
  const bench = new Bench({
    time: TOTAL_MS,
    iterations: LEAST_BATCHES,
    warmupIterations: 1,
    warmupTime: 0,
    retainSamples: true,
    throws: true,
  });
  const measure = async () => {
    const { wall, device } = await batch(calls);
    walls.push(wall / calls);
    return { overriddenDuration: device / calls, overriddenIterationCost: wall };
  };
  bench.add('calls', measure, { async: true });
  const [task] = await bench.run();
  if (task?.result.state !== 'completed') throw new Error('the bench did not finish');
  const samples = [...(task.result.latency.samples ?? [])];
  // Warm-up batches are not among the samples.
  return {
    ms: quantile(samples, 0.5),
    wallMs: quantile(walls.slice(-samples.length), 0.5),
    spread: quantile(samples, 0.75) - quantile(samples, 0.25),
  };
}

/** The q-quantile of values in any order, between neighbours by their distance. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - low);
}
