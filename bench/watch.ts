// The bench's watch mode: a plan runs again whenever a shader file that it uses is saved. Knows runs and saves; knows
// no flags.
import { UserError } from '../src/errors.ts';
import { GpuCompileError, GpuError } from '../src/gpu/errors.ts';
import type { Opened } from '../src/platform/node.ts';
import type { FolderWatch } from '../src/platform/watch.ts';
import type { Ceilings } from '../src/train/ceiling.ts';
import type { Plan } from './plan.ts';
import { type BenchRow, ceilingsLine, change, rowKey, tableHead, tableRow } from './rows.ts';
import { runPlan } from './session.ts';

export interface Watching {
  readonly plan: Plan;
  readonly saves: FolderWatch;
  /** A device whose shaders are read anew. */
  open(): Promise<Opened>;
  print(line: string): void;
  stopping(): boolean;
}

/**
 * Runs until `saves` is closed. A shader that does not compile or a check that fails is printed, and the next save
 * waited for. Each row shows its change against the last run in which it was timed.
 */
export async function watchPlan({ plan, saves, open, print, stopping }: Watching): Promise<void> {
  const last = new Map<string, BenchRow>();
  const used = new Set<string>();
  let known: Ceilings | undefined;
  const row = (measured: BenchRow): void => {
    const before = last.get(rowKey(measured));
    print(`${tableRow(measured)}${before ? `  ${change(measured, before)}` : ''}`);
    last.set(rowKey(measured), measured);
  };
  while (!stopping()) {
    const { gpu, summary, close } = await open();
    if (!known) print(summary);
    try {
      const listener = {
        row,
        skipped: print,
        stopping,
        kernel: (name: string) => used.add(`${name}.wgsl`),
        ceilings(measured: Ceilings) {
          if (!known) print(`ceilings: ${ceilingsLine(measured)}`);
          known = measured;
          print(tableHead());
        },
      };
      await runPlan(gpu, plan, listener, known);
    } catch (error) {
      // A flag that does not fit the device will not fit it after a save either.
      if (used.size === 0 || !(error instanceof UserError || error instanceof GpuError)) throw error;
      print(`error: ${error instanceof GpuCompileError ? error.message : error.message.split('\n')[0]}`);
    } finally {
      await close();
    }
    if (stopping()) return;
    print(`waiting for a save of ${[...used].sort().join(', ')} (Ctrl-C ends)`);
    const saved = await nextOf(saves, used);
    if (!saved) return;
    print(`\n${saved.join(', ')} saved`);
  }
}

/** The files among `used` that were saved, once there is one; undefined once watching has ended. */
async function nextOf(saves: FolderWatch, used: ReadonlySet<string>): Promise<string[] | undefined> {
  for (;;) {
    const names = await saves.next();
    if (!names) return undefined;
    const own = [...names].filter(name => used.has(name)).sort();
    if (own.length > 0) return own;
  }
}
