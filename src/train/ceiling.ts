// What the adapter can do at best: its rate of multiply-adds, measured by a kernel that does nothing else. A run's
// speed is shown as a share of it. Knows one kernel; knows no model.
import type { Gpu } from '../gpu/gpu.ts';
import { empty } from '../tensor.ts';

const CHAINS = 8;
const REPEATS = 8;
const GROUPS = 256;
const THREADS = 64;

/**
 * Floating-point operations a second (a multiply-add is two) at best of a few short runs: on a shared machine the
 * best is the least disturbed. Takes a few tenths of a second.
 */
export async function measureCeiling(gpu: Gpu): Promise<number> {
  const y = empty(gpu, [GROUPS * THREADS]);
  const time = async (iterations: number): Promise<number> => {
    const start = performance.now();
    const how = { groups: GROUPS, consts: { CHAINS, REPEATS }, unroll: true };
    gpu.run('fma-ceiling', { y }, { iterations, scale: 0.5 }, how);
    await gpu.finish();
    return (performance.now() - start) / 1000;
  };
  await time(1);
  // Long enough that starting the work does not count: about 30 ms.
  let iterations = 16;
  while ((await time(iterations)) < 0.03 && iterations < 2 ** 24) iterations *= 2;
  let best = Infinity;
  for (let run = 0; run < 4; run++) best = Math.min(best, await time(iterations));
  y.free();
  return (2 * CHAINS * REPEATS * iterations * GROUPS * THREADS) / best;
}
