// One run of a plan on a device of its own: ceilings, then each row checked and timed. Knows devices and rows; knows
// no flags and no files.
import type { Gpu } from '../src/gpu/gpu.ts';
import { type Ceilings, measureCeilings } from '../src/train/ceiling.ts';
import { Clock } from './clock.ts';
import { timeCalls } from './measure.ts';
import { checkVariant, type Plan } from './plan.ts';
import { type BenchRow, rowOf } from './rows.ts';
import { showDims } from './shape.ts';
import { prepare } from './subject.ts';

export interface Listener {
  /** Before the first row; `timestamps` as a Clock has it. */
  ceilings(ceilings: Ceilings, timestamps: boolean): void;
  /** Of each kernel that the plan launches, before any is compiled. */
  kernel(name: string): void;
  row(row: BenchRow): void;
  /** Of a pass that cannot run in the variant that is forced. */
  skipped(why: string): void;
  /** Asked between rows. */
  stopping(): boolean;
}

/** Rows in the plan's order; `known` ceilings are not measured again. Throws UserError where a check fails. */
export async function runPlan(
  gpu: Gpu,
  plan: Plan,
  listener: Listener,
  known?: Ceilings,
): Promise<{ readonly ceilings: Ceilings; readonly rows: readonly BenchRow[] }> {
  checkVariant(plan, gpu);
  const clock = new Clock(gpu);
  const ceilings = known ?? (await measureCeilings(gpu, async record => (await clock.time(record)).device));
  listener.ceilings(ceilings, clock.timestamps);
  const rows: BenchRow[] = [];
  for (const { row, dims } of plan.cases)
    for (const at of dims) {
      if (listener.stopping()) return { ceilings, rows };
      const prepared = prepare(gpu, row, at, plan.variant);
      for (const { launches } of prepared.subjects)
        for (const { kernel } of launches) listener.kernel(kernel);
      await prepared.check();
      for (const subject of prepared.subjects) {
        if (plan.variant !== undefined && !subject.variant.split('+').includes(plan.variant)) {
          const { shape, form } = showDims(at);
          listener.skipped(`${row.name} ${subject.pass} ${shape} ${form}: no ${plan.variant} at this shape`);
          continue;
        }
        const timing = await timeCalls(clock, subject.call);
        const measured = rowOf(row.name, showDims(at), subject, timing, ceilings);
        rows.push(measured);
        listener.row(measured);
      }
      prepared.free();
    }
  return { ceilings, rows };
}
