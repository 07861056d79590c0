// What follows an arm's training: the evaluation on unseen samples, with and without its latents, the final model,
// and the report of the run. Knows evaluation and formats; files are given.
import type { Mode } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type EvaluateOptions, type Evaluation, evaluate, topTokens } from '../eval/evaluate.ts';
import type { Files } from '../files.ts';
import { parameterCount } from '../model/config.ts';
import { writeModel } from '../model/folder.ts';
import type { Gpt } from '../model/gpt.ts';
import { type ArmPlan, evalBatch, type TrainedArm } from './loop.ts';
import { parseMetrics } from './metrics.ts';
import type { TrainOptions } from './option-table.ts';
import { reportHtml } from './report.ts';
import { type ArmResult, formatResults, type ReportSample, type RunResults } from './results.ts';
import type { Setup } from './setup.ts';

/** Tokens shown of each thought. */
const TOP_TOKENS = 4;

/** Evaluates a trained arm, and writes `dir`/final and the samples for the report. */
export async function finishArm(
  trained: TrainedArm,
  plan: ArmPlan,
  setup: Setup,
  options: TrainOptions,
  files: Files,
): Promise<{ result: ArmResult; samples: ReportSample[] }> {
  await writeModel(files, `${plan.dir}/final`, trained.files);
  const { model, position, stage } = trained;
  const { tokenizer, curriculum, test } = setup;
  const { mode } = plan;
  const batch = evalBatch(model.config.positions);
  const asked = { mode, stage, curriculum, batch, scoring: options.score };
  const whole = await evaluateBoth(model, tokenizer, test, asked);
  const few = test.slice(0, Math.max(1, options.reportSamples));
  const shown = await evaluate(model, tokenizer, few, { ...asked, thoughts: true });
  const samples = reportSamples(shown, mode, tokenizer).slice(0, options.reportSamples);
  await files.writeAtomic(samplesPath(plan.dir), `${JSON.stringify(samples, null, 2)}\n`);
  const result: ArmResult = {
    mode,
    bptt: options.bptt,
    seed: options.seed,
    samples: position.samples,
    steps: position.step,
    stage,
    lastStage: trained.lastStage,
    trainSeconds: trained.trainSeconds,
    stepSeconds: trained.stepSeconds,
    peakBytes: trained.peakBytes,
    parameters: parameterCount(model.config),
    evalSamples: test.length,
    exactMatch: whole.with.exactMatch,
    exactMatchNoLatents: whole.without?.exactMatch ?? null,
    tokensPerSample: whole.with.tokensPerSample,
    secondsPerSample: whole.with.secondsPerSample,
  };
  return { result, samples };
}

/** The samples that an earlier, interrupted part of the run kept for the report. */
export async function readSamples(dir: string, files: Files): Promise<ReportSample[]> {
  return JSON.parse(await files.readText(samplesPath(dir))) as ReportSample[];
}

/** Writes results.json and report.html. */
export async function writeReport(
  results: RunResults,
  samples: readonly ReportSample[],
  options: TrainOptions,
  files: Files,
  plot: { readonly uplotJs: string; readonly uplotCss: string },
): Promise<void> {
  const metricsPath = `${options.out}/metrics.jsonl`;
  const metrics = parseMetrics(await files.readText(metricsPath), metricsPath);
  await files.writeAtomic(`${options.out}/results.json`, formatResults(results));
  await files.writeAtomic(
    `${options.out}/report.html`,
    reportHtml({ results, metrics, samples, options, ...plot }),
  );
}

/** As they are, and with latents removed where the model has any: that shows whether it uses them. */
async function evaluateBoth(
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  asked: EvaluateOptions,
): Promise<{ with: Evaluation; without: Evaluation | undefined }> {
  const whole = await evaluate(model, tokenizer, samples, asked);
  const thinks = whole.outcomes.some(outcome => outcome.latents > 0);
  const without = thinks
    ? await evaluate(model, tokenizer, samples, { ...asked, removeLatents: true })
    : undefined;
  return { with: whole, without };
}

function reportSamples({ outcomes }: Evaluation, mode: Mode, tokenizer: Tokenizer): ReportSample[] {
  return outcomes.map(({ sample, tokens, correct, thoughts }) => ({
    mode,
    question: sample.question,
    expected: sample.answer,
    output: tokenizer.decode(tokens),
    correct,
    thoughts: thoughts.map(thought => topTokens(thought, tokenizer, TOP_TOKENS)),
  }));
}

function samplesPath(dir: string): string {
  return `${dir}/samples.json`;
}
