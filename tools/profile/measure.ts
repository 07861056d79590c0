// Takes steps with and without timestamps, and counts. Knows the device and its profiler, and that a step is a
// function; knows no model.
import { UserError } from '../../src/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { Dispatch, Moment, Profiler } from '../../src/gpu/profiler.ts';

/** Figures are means a step, milliseconds unless said otherwise. */
export interface Measurement {
  readonly steps: number;
  /** Wall clock without timestamps, steps back to back as in training. */
  readonly stepMs: number;
  /** The same with a pass and two timestamps for every dispatch. */
  readonly measuredStepMs: number;
  /** Spent in JavaScript recording a step, without timestamps. The device may be at work meanwhile. */
  readonly recordingMs: number;
  readonly dispatches: number;
  readonly submits: number;
  /** Operations of matrix products. */
  readonly flops: number;
  readonly tokens: number;
  /** The most bytes alive in tensors at once, parameters and moments included. */
  readonly peakBytes: number;
  /** All dispatches of all measured steps in order, on the clock of `performance.now`; none overlap. */
  readonly timeline: readonly Dispatch[];
  /** From when on which scopes were open while the same steps were recorded, on the same clock. */
  readonly moments: readonly Moment[];
}

/** The device's profiler. Throws UserError where the adapter has no timestamp queries. */
export function profilerOf({ profiler, info }: Pick<Gpu, 'profiler' | 'info'>): Profiler {
  if (profiler) return profiler;
  throw new UserError(
    `this adapter (${info.description || info.vendor}) has no timestamp queries, so single kernels cannot be timed: ` +
      'take another with --adapter, or time the ops with npm run bench',
  );
}

/**
 * Runs `step(i)` for i = 0 … steps - 1 three times: to compile and to fill the pool, then for the clock alone, then
 * with the profiler. Each step must do the same work every time; its dispatches are filed under `step i`.
 */
export async function measureSteps(
  gpu: Gpu,
  steps: number,
  step: (index: number) => number,
): Promise<Measurement> {
  const profiler = profilerOf(gpu);
  profiler.enabled = false;
  await pass(gpu, steps, step);
  gpu.pool.resetPeak();
  const plain = await pass(gpu, steps, step);
  const peakBytes = gpu.pool.memory.peak;

  await profiler.collect(); // What was measured before is not asked for.
  profiler.enabled = true;
  const measured = await pass(gpu, steps, i => gpu.scope(`step ${i + 1}`, () => step(i)));
  profiler.enabled = false;
  const { dispatches, moments } = await profiler.collect();

  return {
    steps,
    stepMs: plain.ms / steps,
    measuredStepMs: measured.ms / steps,
    recordingMs: plain.recordingMs / steps,
    dispatches: plain.dispatches / steps,
    submits: plain.submits / steps,
    flops: plain.flops / steps,
    tokens: plain.tokens / steps,
    peakBytes,
    timeline: onWallClock(apart(dispatches), measured.end),
    moments,
  };
}

async function pass(gpu: Gpu, steps: number, step: (index: number) => number) {
  const before = { ...gpu.counts };
  const begun = performance.now();
  let tokens = 0;
  for (let i = 0; i < steps; i++) tokens += step(i);
  const recordingMs = performance.now() - begun;
  await gpu.finish();
  const end = performance.now();
  return {
    ms: end - begun,
    end,
    tokens,
    recordingMs,
    dispatches: gpu.counts.dispatches - before.dispatches,
    submits: gpu.counts.submits - before.submits,
    flops: gpu.counts.flops - before.flops,
  };
}

/**
 * The same dispatches without overlaps or negative times. A GPU may begin a dispatch before the one before it has
 * ended; the time they have in common is the earlier one's, so that all times add up to the time the device was busy.
 */
export function apart(dispatches: readonly Dispatch[]): Dispatch[] {
  let free = Number.NEGATIVE_INFINITY;
  return dispatches.map(dispatch => {
    const start = Math.max(dispatch.start, free);
    const end = Math.max(dispatch.end, start);
    free = end;
    return { ...dispatch, start, end };
  });
}

/** The device's clock has a zero of its own, so the last dispatch is put where the queue was seen to be empty. */
export function onWallClock(dispatches: readonly Dispatch[], drained: number): Dispatch[] {
  const shift = drained - (dispatches.at(-1)?.end ?? drained);
  return dispatches.map(dispatch => ({
    ...dispatch,
    start: dispatch.start + shift,
    end: dispatch.end + shift,
  }));
}
