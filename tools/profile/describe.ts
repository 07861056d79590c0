// A profile in words and figures, for the terminal and for the page alike. Knows measurements; knows no layout.
import { bytes, group, significant } from '../../src/train/results.ts';
import type { Measurement } from './measure.ts';
import { idleMs, type KernelSum, kernelName, type Sum } from './tree.ts';

export interface Profile {
  /** What was profiled, in a few words. */
  readonly title: string;
  /** The command line after `train.ts`. */
  readonly flags: readonly string[];
  /** One line. */
  readonly adapter: string;
  /** The adapter's measured rate of multiply-adds, operations a second. */
  readonly ceiling: number;
  readonly measurement: Measurement;
}

export interface Fact {
  readonly name: string;
  readonly value: string;
  /** What it is or how it was measured. */
  readonly note: string;
}

/** The figures of a step as a whole. */
export function factsOf({ ceiling, measurement }: Profile): Fact[] {
  const {
    steps,
    stepMs,
    measuredStepMs,
    recordingMs,
    dispatches,
    submits,
    flops,
    tokens,
    peakBytes,
    timeline,
  } = measurement;
  const busy = timeline.reduce((sum, { start, end }) => sum + end - start, 0) / steps;
  const rate = flops / (stepMs / 1000);
  const inProducts = timeline.reduce((sum, d) => sum + (d.flops > 0 ? d.end - d.start : 0), 0) / steps;
  const productRate = inProducts > 0 ? flops / (inProducts / 1000) : 0;
  const overhead = measuredStepMs - stepMs;
  return [
    {
      name: 'step',
      value: time(stepMs),
      note: `${group(tokens)} tokens, ${group(tokens / (stepMs / 1000))} a second; without timestamps`,
    },
    { name: 'in kernels', value: time(busy), note: `${time(idleMs(timeline, steps))} between them` },
    {
      name: 'with timestamps',
      value: time(measuredStepMs),
      note:
        overhead > 0
          ? `+${Math.round((100 * overhead) / stepMs)} %: ${time(overhead / dispatches)} a dispatch`
          : 'measuring costs nothing that shows',
    },
    { name: 'recording', value: time(recordingMs), note: 'in JavaScript, while the device may work' },
    {
      name: 'dispatches',
      value: count(dispatches),
      note: `in ${count(submits)} ${submits === 1 ? 'submit' : 'submits'}`,
    },
    { name: 'peak memory', value: bytes(peakBytes), note: 'alive in tensors' },
    {
      name: 'of the ceiling',
      value: percent(rate / ceiling),
      note: `${gflops(rate)} of ${gflops(ceiling)} GFLOP/s over the whole step`,
    },
    {
      name: 'in products',
      value: percent(productRate / ceiling),
      note: `${gflops(productRate)} GFLOP/s in the ${time(inProducts)} of matrix products`,
    },
  ];
}

/** One sentence: the kernel that takes most of the time. */
export function headlineOf({ measurement }: Profile, kernels: readonly KernelSum[]): string {
  const all = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const byName = [...Map.groupBy(kernels, ({ label }) => kernelName(label))].map(([name, variants]) => ({
    name,
    ms: variants.reduce((sum, { ms }) => sum + ms, 0),
  }));
  const [most] = byName.sort((a, b) => b.ms - a.ms);
  const step = `One step takes ${time(measurement.stepMs)}`;
  return most && all > 0 ? `${step}, ${percent(most.ms / all)} of its kernels’ time in ${most.name}` : step;
}

/** GFLOP/s of a sum, or undefined where no operations are counted. */
export function rateOf({ flops, ms }: Sum): number | undefined {
  return flops > 0 && ms > 0 ? (flops / ms) * 1000 : undefined;
}

/** Milliseconds with a unit: "0.0042 ms", "3.1 ms", "149 ms", "2.41 s". */
export function time(ms: number): string {
  return ms >= 1000 ? `${significant(ms / 1000, 3)} s` : `${significant(ms, ms < 10 ? 2 : 3)} ms`;
}

/** Operations a second as 10⁹ of them. */
export function gflops(rate: number): string {
  return significant(rate / 1e9, rate < 1e10 ? 2 : 3);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

/** Calls, dispatches: whole where every step has as many. */
export function count(value: number): string {
  return Number.isInteger(value) ? group(value) : significant(value, 3);
}
