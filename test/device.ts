// The device of the tests: every new tensor is poisoned with NaN, so a kernel that reads what nobody wrote is seen.
import { afterAll } from 'vitest';
import type { Gpu, GpuOptions } from '../src/gpu/gpu.ts';
import { openNodeGpu } from '../src/platform/node.ts';

/** Opens a poisoned device for a test file, and closes it after the file's last test. */
export async function testGpu(options: Partial<GpuOptions> = {}): Promise<Gpu> {
  const opened = await openNodeGpu('auto', { poison: true, ...options });
  afterAll(() => opened.close());
  return opened.gpu;
}

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

/** max |a - b| / max |b|: the relative error by which device and reference are compared; NaN counts as infinite. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    difference = Math.max(difference, Number.isNaN(d) ? Infinity : d);
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference === 0 ? 0 : difference / Math.max(largest, 1e-30);
}
