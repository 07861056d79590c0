// The kernel bench in a browser: the same plan, checks and rows as bench/run.ts, on the device of a headless Chromium.
// Knows the order of events: a page is bundled and served, opened, and told what to run. node bench/web.ts --help
import { runMain } from '../src/platform/main.ts';
import { parseFlags } from '../tools/flags.ts';
import { type BenchFlags, benchCommand, readFolder, SHADERS } from './flags.ts';
import { help } from './help.ts';
import { keep, onTerminal } from './output.ts';
import { planOf } from './plan.ts';
import { provenance } from './provenance.ts';
import { inChromium } from './results.ts';
import { launch, runTask } from './web/chromium.ts';
import type { Measured, Progress, Task } from './web/protocol.ts';
import { servePage } from './web/serve.ts';

const SCRIPT = 'bench/web.ts';

const program = benchCommand(
  SCRIPT,
  'The bench in a headless Chromium: checks every op against its reference and times it at its bench shapes, against ceilings measured in the same run.',
).addHelpText('after', help('<adapter>-in-chromium.md'));

await runMain(async () => {
  const flags = parseFlags<BenchFlags>(program, process.argv.slice(2));
  if (!flags) return;
  const { whole } = planOf(flags); // Flags that do not fit together are refused before a browser starts.
  const { json, shaders = SHADERS, ...narrowed } = flags;
  const task = { narrowed, shaders: [...(await readFolder(shaders))] };
  const { version, measured } = await measure(task);
  const finished = {
    ...measured,
    adapter: inChromium(measured.adapter),
    source: provenance({ chromium: version }),
  };
  await keep(finished, { json, whole, script: SCRIPT });
});

async function measure(task: Task): Promise<{ readonly version: string; readonly measured: Measured }> {
  const site = await servePage();
  try {
    const browser = await launch();
    try {
      const version = browser.version();
      console.log(`Chromium ${version}`);
      return { version, measured: await runTask(browser, site.address, task, print) };
    } finally {
      await browser.close();
    }
  } finally {
    site.close();
  }
}

function print(progress: Progress): void {
  if (progress.kind === 'opened') console.log(progress.summary);
  else if (progress.kind === 'ceilings') onTerminal.ceilings(progress.ceilings, progress.timestamps);
  else if (progress.kind === 'row') onTerminal.row(progress.row);
  else onTerminal.skipped(progress.why);
}
