// Numbers for tests and bench: seeded draws, and the error by which device and reference are compared.

/** A seeded generator of numbers in [0, 1) (mulberry32): tests are the same on every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export { relativeError } from '../src/eval/parity.ts';
