// The kernel bench: every op, forward and backward, at the shapes of its row in test/cases, against ceilings that are
// measured in the same run. node bench/run.ts --help
import { fileURLToPath } from 'node:url';
import { UserError } from '../src/errors.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { onInterrupt, runMain } from '../src/platform/main.ts';
import { type AdapterChoice, type Opened, openNodeGpu } from '../src/platform/node.ts';
import { FolderWatch } from '../src/platform/watch.ts';
import { choice, path } from '../src/train/option-kinds.ts';
import { cases } from '../test/cases/index.ts';
import { command, legal, parseFlags } from '../tools/flags.ts';
import { HELP } from './help.ts';
import { type Narrowed, type Plan, planOf } from './plan.ts';
import { provenance, versions } from './provenance.ts';
import { writeSection } from './results.ts';
import { ceilingsLine, ceilingUnits, markdownTable, tableHead, tableRow } from './rows.ts';
import { runPlan } from './session.ts';
import { type ProductShape, parseShape } from './shape.ts';
import { watchPlan } from './watch.ts';

interface Flags extends Narrowed {
  readonly shaders?: string;
  readonly adapter: AdapterChoice;
}

const SHADERS = fileURLToPath(new URL('../shaders', import.meta.url));

const program = command(
  'bench',
  'Checks every op against its reference and times it at its bench shapes, against ceilings measured in the same run.',
)
  .name('node bench/run.ts')
  .option('--op <name>', 'only this op', legal('--op', choice(...cases.map(row => row.name))))
  .option(
    '--shape <MxNxK...>',
    'these shapes instead, of matmul and linear (A is M×K, B is K×N)',
    (text: string, before: readonly ProductShape[] = []) => [...before, parseShape(text)],
  )
  .option('--variant <name>', 'force one of the variants of --op')
  .option('--watch', 'run --op again whenever a shader file of it is saved, and show the change')
  .option('--json <file>', 'also write ceilings and rows as JSON', legal('--json', path('file')))
  .option('--shaders <dir>', 'shader files of another folder', legal('--shaders', path('dir')))
  .option(
    '--adapter <which>',
    'auto, gpu or software',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  )
  .addHelpText('after', HELP);

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
    const { ceilings, rows } = await runPlan(gpu, plan, {
      ceilings(measured, { timestamps }) {
        if (!timestamps) console.log('this adapter has no timestamp queries: ms is by the wall clock');
        console.log(`ceilings: ${ceilingsLine(measured)}\n${tableHead()}`);
      },
      kernel() {},
      row: row => console.log(tableRow(row)),
      skipped: why => console.log(why),
      stopping: () => false,
    });
    const source = provenance(await versions(['webgpu']));
    if (json) {
      const content = { adapter: summary, source, ceilings: ceilingUnits(ceilings), rows };
      await files.writeAtomic(json, `${JSON.stringify(content, null, 2)}\n`);
    }
    if (!plan.whole) return;
    const body = `${source}\n\nCeilings: ${ceilingsLine(ceilings)}. The columns: \`node bench/run.ts --help\`.`;
    const written = await writeSection(gpu.info, 'Kernels', `${body}\n\n${markdownTable(rows)}`);
    console.log(`written to ${written}`);
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

/** WGSL texts by kernel name. Throws UserError. */
async function readFolder(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await files.list(folder)).filter(name => name.endsWith('.wgsl'));
  if (names.length === 0) throw new UserError(`${folder}: has no .wgsl files`);
  const texts = names.map(
    async name => [name.slice(0, -5), await files.readText(`${folder}/${name}`)] as const,
  );
  return new Map(await Promise.all(texts));
}
