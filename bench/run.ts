// The kernel bench: every op, forward and backward, at the shapes of its row in test/cases, against ceilings that are
// measured in the same run. node bench/run.ts --help
import { onInterrupt, runMain } from '../src/platform/main.ts';
import { type AdapterChoice, type Opened, openNodeGpu } from '../src/platform/node.ts';
import { FolderWatch } from '../src/platform/watch.ts';
import { choice } from '../src/train/option-kinds.ts';
import { legal, parseFlags } from '../tools/flags.ts';
import { type BenchFlags, benchCommand, readFolder, SHADERS } from './flags.ts';
import { help } from './help.ts';
import { keep, onTerminal } from './output.ts';
import { type Plan, planOf } from './plan.ts';
import { provenance, versions } from './provenance.ts';
import { runPlan } from './session.ts';
import { watchPlan } from './watch.ts';

interface Flags extends BenchFlags {
  readonly adapter: AdapterChoice;
}

const SCRIPT = 'bench/run.ts';

const program = benchCommand(
  SCRIPT,
  'Checks every op against its reference and times it at its bench shapes, against ceilings measured in the same run.',
)
  .option('--watch', 'run --op again whenever a shader file of it is saved, and show the change')
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  )
  .addHelpText('after', help('<adapter>.md'));

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const plan = planOf(flags);
  const open = async (): Promise<Opened> =>
    openNodeGpu(flags.adapter, { shaders: await readFolder(flags.shaders ?? SHADERS) });
  if (flags.watch) await watch(plan, flags, open);
  else await runOnce(plan, flags, open);
});

async function runOnce(plan: Plan, { json }: Flags, open: () => Promise<Opened>): Promise<void> {
  const { gpu, summary, close } = await open();
  try {
    console.log(summary);
    const measured = await runPlan(gpu, plan, { ...onTerminal, kernel() {}, stopping: () => false });
    const source = provenance(await versions(['webgpu']));
    const finished = { adapter: gpu.info, summary, source, ...measured };
    await keep(finished, { json, whole: plan.whole, script: SCRIPT });
  } finally {
    close();
  }
}

async function watch(plan: Plan, flags: Flags, open: () => Promise<Opened>): Promise<void> {
  const saves = new FolderWatch(flags.shaders ?? SHADERS);
  const stopping = onInterrupt(() => saves.close());
  try {
    await watchPlan({ plan, saves, open, print: line => console.log(line), stopping });
  } finally {
    saves.close();
  }
}
