// Trains a model that reasons in latent space, evaluates it on unseen samples and reports: config → data → model →
// loop → report. `node train.ts --help` shows every option.
import { adapterName, adapterTitle } from './src/gpu/describe.ts';
import { nodeCache as cache } from './src/platform/cache.ts';
import { nodeFiles as files } from './src/platform/files.ts';
import { onInterrupt, runMain } from './src/platform/main.ts';
import { freeMemory, openNodeGpu, readPlotLibrary } from './src/platform/node.ts';
import { armFolder, armModes, makeRunFolder, newestCheckpoint } from './src/train/arms.ts';
import { measureCeiling } from './src/train/ceiling.ts';
import { finishArm, readSamples, writeReport } from './src/train/finish.ts';
import { trainArm } from './src/train/loop.ts';
import { checkedPlan, planLine } from './src/train/memory-plan.ts';
import { truncateMetrics } from './src/train/metrics.ts';
import { checkAdapter } from './src/train/option-checks.ts';
import { resolveOptions, resumedOptions } from './src/train/options.ts';
import { prepare } from './src/train/prepare.ts';
import { Progress } from './src/train/progress.ts';
import { type AnyResult, type ReportSample, resultSaid, resultsTable } from './src/train/results.ts';
import { Tuning } from './src/train/tuning.ts';

await runMain(async () => {
  const resolved = await resolveOptions(process.argv.slice(2), path => files.readText(path));
  if ('help' in resolved) return console.log(resolved.help);
  const begun = performance.now();

  // A resumed run has the options of its checkpoint.
  const { resume } = resolved.options;
  const from = resume === null ? undefined : await newestCheckpoint(resume, files);
  const options = from ? resumedOptions(resolved, from.trainer) : resolved.options;
  const { out } = options;
  const setup = await prepare(options, files, from);
  for (const note of setup.notes) console.log(note);

  const { gpu, summary, close } = await openNodeGpu(options.adapter);
  try {
    console.log(summary);
    checkAdapter(options, gpu.features, adapterName(gpu.info));
    const available = options.memory === 'auto' ? freeMemory(gpu) : options.memory * 2 ** 30;
    const plans = armModes(options).map(mode =>
      checkedPlan({ mode, samples: options.samples }, setup, options, gpu, available),
    );
    console.log(planLine(plans.reduce((most, plan) => (plan.total > most.total ? plan : most))));
    const metricsPath = `${out}/metrics.jsonl`;
    if (from) {
      await files.writeAtomic(metricsPath, truncateMetrics(await files.readText(metricsPath), from.trainer));
      console.log(`${out}: going on with ${from.trainer.arm} at step ${from.trainer.step}`);
    } else {
      const aside = await makeRunFolder(out, files);
      if (aside) console.log(`${out}: an earlier run's files are now in ${aside}`);
      await files.writeAtomic(metricsPath, '');
    }
    const ceiling = await measureCeiling(gpu);
    console.log(
      `multiply-add ceiling ${(ceiling / 1e9).toFixed(1)} GFLOP/s · vocabulary ${setup.tokenizer.size}`,
    );
    const progress = new Progress(text => process.stdout.write(text), {
      columns: () => (process.stdout.isTTY ? process.stdout.columns : undefined),
      every: 100,
    });
    const stopping = onInterrupt(() => progress.message('stopping after this step …'));
    const say = (line: string): void => progress.message(line);
    const tuning = new Tuning(gpu, { mode: options.tune, cache, say, stopping });
    if (from) tuning.pin(from.trainer.tuned);

    const results: AnyResult[] = [...(from?.trainer.finished ?? [])];
    const samples: ReportSample[] = [];
    for (const [i, mode] of armModes(options).entries()) {
      const dir = armFolder(out, mode, options);
      if (i < results.length) {
        samples.push(...(await readSamples(dir, files)));
        continue;
      }
      const plan = { mode, dir, samples: results[0]?.samples ?? options.samples, finished: [...results] };
      const around = { gpu, files, progress, metricsPath, ceiling, tuning, stopping };
      const start = from?.trainer.arm === mode ? from : undefined;
      const trained = await trainArm(plan, setup, options, around, start);
      const { result, samples: shown } = await finishArm(trained, plan, setup, options, files);
      results.push(result);
      samples.push(...shown);
      progress.message(`${mode}: ${resultSaid(result)}`);
    }
    progress.close();

    const earlier = from ? [from.trainer.seconds, ...from.trainer.finished.map(arm => arm.trainSeconds)] : [];
    const seconds = (performance.now() - begun) / 1000 + earlier.reduce((a, b) => a + b, 0);
    const run = { adapter: adapterTitle(gpu.info), seconds, arms: results };
    await writeReport(run, samples, options, files, readPlotLibrary());
    const shown = options.mode === 'lm' ? 'what the model writes' : 'the thoughts';
    console.log(`${resultsTable(results)}\n${out}/report.html shows the curves and ${shown}`);
  } finally {
    close();
  }
});
