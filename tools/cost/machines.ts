// Rates of GPUs on paper, and the time that a step's work asks for at these rates. Knows numbers; knows no kernels.
import type { Work } from './work.ts';

export interface Machine {
  readonly name: string;
  /** Operations a second in fp32 without matrix units; a multiply-add is two. */
  readonly flops: number;
  /** Bytes a second of its memory. */
  readonly bandwidth: number;
  /** Seconds that a dispatch takes at least, all of a chain in which each waits for the one before. */
  readonly dispatch: number;
}

/**
 * Data sheets: H100 SXM 67 TFLOP/s and 3.35 TB/s, of which 60 are assumed to be in reach; laptops lie between
 * 4 TFLOP/s at 100 GB/s (Apple M2, 10 cores) and 12 at 250. Dispatches are assumed: published measurements over WebGPU
 * say 24 to 36 µs on Vulkan and 32 to 71 µs on Metal for a dispatch that is encoded and submitted by itself
 * (arXiv 2604.02344), and we put hundreds into one submit.
 */
export const MACHINES: readonly Machine[] = [
  { name: 'H100-class', flops: 60e12, bandwidth: 3.35e12, dispatch: 10e-6 },
  { name: 'laptop-class', flops: 6e12, bandwidth: 150e9, dispatch: 40e-6 },
];

export type Term = 'arithmetic' | 'memory' | 'dispatches';

/** Seconds. */
export interface Floors {
  /** What each total asks for by itself. */
  readonly arithmetic: number;
  readonly memory: number;
  readonly dispatches: number;
  /** The longest of the three. */
  readonly binds: Term;
  /** Each dispatch takes the longest of its own three, one after another: more than any of the floors. */
  readonly chain: number;
}

export function floorsOf(work: readonly Work[], machine: Machine): Floors {
  const total = totalOf(work);
  const arithmetic = total.flops / machine.flops;
  const memory = total.bytes / machine.bandwidth;
  const dispatches = work.length * machine.dispatch;
  const terms = { arithmetic, memory, dispatches };
  const binds = (Object.keys(terms) as Term[]).reduce((a, b) => (terms[b] > terms[a] ? b : a));
  const chain = work.reduce(
    (sum, { flops, bytes }) =>
      sum + Math.max(flops / machine.flops, bytes / machine.bandwidth, machine.dispatch),
    0,
  );
  return { ...terms, binds, chain };
}

export function totalOf(work: readonly Work[]): Work {
  return work.reduce((sum, { flops, bytes }) => ({ flops: sum.flops + flops, bytes: sum.bytes + bytes }), {
    flops: 0,
    bytes: 0,
  });
}
