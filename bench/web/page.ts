// The bench's page: in a browser what bench/run.ts is in Node. Opens the browser's device, runs a plan on it, and tells
// the process that opened the page how it goes. Knows no files and no flags' texts.
import { UserError } from '../../src/errors.ts';
import { adapterName } from '../../src/gpu/describe.ts';
import { GpuCompileError, GpuError } from '../../src/gpu/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { openWebGpu } from '../../src/platform/web.ts';
import { planOf } from '../plan.ts';
import { runPlan } from '../session.ts';
import type { Measured, Progress, Task } from './protocol.ts';

window.runTask = async task => {
  const told: Promise<void>[] = [];
  try {
    return await measure(task, progress => told.push(window.tell(progress)));
  } catch (error) {
    // Errors lose their class on the way out of the page.
    if (!(error instanceof UserError || error instanceof GpuError)) throw error;
    return { fault: error.message, compile: error instanceof GpuCompileError };
  } finally {
    await Promise.all(told); // So that the last row is not printed after the end.
  }
};

async function measure({ narrowed, shaders }: Task, tell: (progress: Progress) => void): Promise<Measured> {
  const { gpu, summary, close } = await openWebGpu({ shaders: new Map(shaders) });
  try {
    tell({ kind: 'opened', summary });
    const measured = await runPlan(gpu, planOf(narrowed), {
      ceilings: (ceilings, timestamps) => tell({ kind: 'ceilings', ceilings, timestamps }),
      kernel() {},
      row: row => tell({ kind: 'row', row }),
      skipped: why => tell({ kind: 'skipped', why }),
      stopping: () => false,
    });
    return { adapter: adapterName(gpu.info), summary, ...measured };
  } catch (error) {
    if (error instanceof DOMException) await settleLoss(gpu);
    throw error;
  } finally {
    close();
  }
}

/** Throws GpuLostError if the device is lost: what waits for the device is rejected just before that is known. */
async function settleLoss(gpu: Gpu): Promise<void> {
  await Promise.race([gpu.device.lost, new Promise(resolve => setTimeout(resolve, 1000))]);
  await gpu.settle();
}
