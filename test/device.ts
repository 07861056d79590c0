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
