// Where the time of a training step goes, kernel by kernel: a table on the terminal, a flame chart as HTML, and a
// Chrome trace on request: node tools/profile.ts [flags] train.ts [flags of train.ts]
import { dirname } from 'node:path';
import { adapterName } from '../src/gpu/describe.ts';
import { nodeCache as cache } from '../src/platform/cache.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { openNodeGpu } from '../src/platform/node.ts';
import { newestCheckpoint } from '../src/train/arms.ts';
import { measureCeiling } from '../src/train/ceiling.ts';
import { checkAdapter } from '../src/train/option-checks.ts';
import { resolveOptions, resumedOptions } from '../src/train/options.ts';
import { prepare } from '../src/train/prepare.ts';
import { Tuning } from '../src/train/tuning.ts';
import type { Profile } from './profile/describe.ts';
import { readProfileFlags } from './profile/flags.ts';
import { profileHtml } from './profile/html.ts';
import { measureSteps, profilerOf } from './profile/measure.ts';
import { modeOf, stageOf, stepper, titleOf } from './profile/prepare.ts';
import { profileText } from './profile/table.ts';
import { traceOf } from './profile/trace.ts';

await runMain(async () => {
  const read = readProfileFlags(process.argv.slice(2));
  if (!read) return;
  const { flags, train } = read;
  const resolved = await resolveOptions(train, path => files.readText(path));
  if ('help' in resolved) return console.log(resolved.help);
  const { resume } = resolved.options;
  const from = resume === null ? undefined : await newestCheckpoint(resume, files);
  const options = from ? resumedOptions(resolved, from.trainer) : resolved.options;
  const setup = await prepare(options, files, from);
  const mode = modeOf(options, from);
  const stage = stageOf(flags.stage, mode, options, setup, from);

  const { gpu, summary, close } = await openNodeGpu(options.adapter, { profile: true });
  try {
    const title = titleOf(mode, stage, options, setup, flags.steps);
    console.log(`${summary}\n${title}`);
    checkAdapter(options, gpu.features, adapterName(gpu.info));
    const profiler = profilerOf(gpu);
    profiler.enabled = false;
    const ceiling = await measureCeiling(gpu);
    const { batches, step } = stepper(gpu, mode, stage, options, setup, from);
    const rows = batches(flags.steps);
    const tuning = new Tuning(gpu, { mode: options.tune, cache, say: console.log });
    tuning.pin(from?.trainer.tuned ?? null);
    await tuning.prepare(async () => {
      tuning.weigh(1);
      step(rows[0]!);
    });
    const measurement = await measureSteps(gpu, flags.steps, i => step(rows[i]!));

    const profile: Profile = { title, flags: train, adapter: summary, ceiling, measurement };
    console.log(`\n${profileText(profile)}\n`);
    const out = flags.out ?? `${options.out}/profile.html`;
    await files.makeFolder(dirname(out));
    await files.writeAtomic(out, profileHtml(profile));
    console.log(`${out} shows where the time goes`);
    if (flags.trace !== undefined) {
      await files.makeFolder(dirname(flags.trace));
      const about = { title, adapter: summary, command: `train.ts ${train.join(' ')}` };
      await files.writeAtomic(flags.trace, `${JSON.stringify(traceOf(measurement, about))}\n`);
      console.log(`${flags.trace} opens in ui.perfetto.dev`);
    }
  } finally {
    close();
  }
});
