// What follows an arm's training: the evaluation on unseen samples, as it is and under every control, a look inside,
// the final model, and the report of the run. Knows evaluation and formats; files are given.
import { collatePrompts, type Prompt } from '../data/batch.ts';
import type { Mode } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Evaluation, evaluate, topTokens } from '../eval/evaluate.ts';
import { generate } from '../eval/generate.ts';
import { type Detail, inspect } from '../eval/inspect.ts';
import type { NodeValues } from '../eval/nodes.ts';
import { evalBatch } from '../eval/parts.ts';
import { evaluationReport } from '../eval/report.ts';
import { perplexity, scoreText } from '../eval/text.ts';
import type { Files } from '../files.ts';
import { parameterCount } from '../model/config.ts';
import { writeModel } from '../model/folder.ts';
import type { Gpt } from '../model/gpt.ts';
import type { ArmPlan, TrainedArm } from './loop.ts';
import { parseMetrics } from './metrics.ts';
import type { TrainOptions } from './option-table.ts';
import type { Setup } from './prepare.ts';
import { reportHtml } from './report.ts';
import {
  type AnyResult,
  type ArmResult,
  formatResults,
  type ReportSample,
  type RunResults,
  type SearchValues,
  type TextResult,
} from './results.ts';
import type { SampleSetup } from './setup.ts';
import type { TextSetup } from './text-setup.ts';

/** Tokens shown of each thought. */
const TOP_TOKENS = 4;
/** Samples that are looked into, or as many as are shown: enough for means, and a small part of the time that the evaluation takes. */
const INSPECTED = 100;

export interface Finished<A extends AnyResult> {
  readonly result: A;
  readonly samples: readonly ReportSample[];
}

/** Evaluates a trained arm, and writes `dir`/final and the samples for the report. */
export async function finishArm(
  trained: TrainedArm,
  plan: ArmPlan,
  setup: Setup,
  options: TrainOptions,
  files: Files,
): Promise<Finished<AnyResult>> {
  await writeModel(files, `${plan.dir}/final`, trained.files);
  const { mode } = plan;
  if (mode !== 'lm' && 'text' in setup)
    throw new Error(`${mode} learns from samples, and a text was prepared`);
  const finished =
    'text' in setup
      ? await textFinished(trained, setup, options)
      : await answersFinished(trained, mode as Mode, setup, options);
  await files.writeAtomic(samplesPath(plan.dir), `${JSON.stringify(finished.samples, null, 2)}\n`);
  return finished;
}

async function answersFinished(
  trained: TrainedArm,
  mode: Mode,
  setup: SampleSetup,
  options: TrainOptions,
): Promise<Finished<ArmResult>> {
  const { model, stage } = trained;
  const { tokenizer, curriculum, test } = setup;
  const asking = { mode, stage, curriculum };
  const batch = evalBatch(model.config.positions);
  const whole = await evaluationReport(model, tokenizer, test, {
    ...{ ...asking, batch, seed: options.seed, scoring: options.score },
    ...{ controls: 'over all', inspect: false, halt: undefined },
  });
  const some = test.slice(0, Math.max(INSPECTED, options.reportSamples));
  const shown = await evaluate(model, tokenizer, some, {
    ...{ ...asking, batch, scoring: options.score, thoughts: true },
  });
  const detail = await inspect(model, tokenizer, some, asking, shown, { batch, scoring: options.score });
  const samples = reportSamples(shown, detail, mode, tokenizer).slice(0, options.reportSamples);
  const result: ArmResult = {
    mode,
    ...trainedResult(trained, options),
    evalSamples: test.length,
    exactMatch: whole.exactMatch,
    exactMatchNoLatents: whole.exactMatchNoLatents,
    tokensPerSample: whole.tokensPerSample,
    secondsPerSample: whole.secondsPerSample,
    controls: whole.controls,
    inspection: detail.inspection,
  };
  return { result, samples };
}

async function textFinished(
  trained: TrainedArm,
  { tokenizer, text: { test } }: TextSetup,
  options: TrainOptions,
): Promise<Finished<TextResult>> {
  const { model } = trained;
  const score = await scoreText(model, test, tokenizer.pad, evalBatch(model.config.positions));
  const result: TextResult = {
    mode: 'lm',
    ...trainedResult(trained, options),
    evalTokens: score.tokens,
    loss: score.loss,
    perplexity: perplexity(score),
    bitsPerByte: score.bitsPerByte,
  };
  const rows = test.rows.slice(0, options.reportSamples).map(({ tokens }) => tokens);
  return { result, samples: await continuations(model, tokenizer, rows) };
}

/** The second half of each row as the model writes it after the first, likeliest tokens throughout. */
async function continuations(
  model: Gpt,
  tokenizer: Tokenizer,
  rows: readonly (readonly number[])[],
): Promise<ReportSample[]> {
  if (rows.length === 0) return [];
  const halves = rows.map(tokens => {
    const middle = Math.ceil(tokens.length / 2);
    return { given: tokens.slice(0, middle), rest: tokens.slice(middle) };
  });
  const prompts = halves.map(({ given }): Prompt => ({ tokens: given, latentStart: -1, latents: 0 }));
  const maxTokens = Math.max(1, ...halves.map(({ rest }) => rest.length));
  const made = await generate(model, collatePrompts(prompts, tokenizer.pad), {
    maxTokens,
    eos: tokenizer.eos,
  });
  return halves.map(({ given, rest }, i) => ({
    mode: 'lm' as const,
    question: tokenizer.decode(given),
    expected: tokenizer.decode(rest),
    output: tokenizer.decode(made.tokens[i]!),
    correct: null,
    thoughts: [],
    values: null,
  }));
}

function trainedResult({ model, position, stage, ...trained }: TrainedArm, { bptt, seed }: TrainOptions) {
  return {
    bptt,
    seed,
    samples: position.samples,
    steps: position.step,
    stage,
    lastStage: trained.lastStage,
    trainSeconds: trained.trainSeconds,
    stepSeconds: trained.stepSeconds,
    peakBytes: trained.peakBytes,
    parameters: parameterCount(model.config),
  };
}

/** The samples that an earlier, interrupted part of the run kept for the report. */
export async function readSamples(dir: string, files: Files): Promise<ReportSample[]> {
  const samples = JSON.parse(await files.readText(samplesPath(dir))) as ReportSample[];
  // An earlier version kept no values.
  return samples.map(sample => ({ ...sample, values: sample.values ?? null }));
}

/** Writes results.json and report.html. */
export async function writeReport(
  results: RunResults<AnyResult>,
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

function reportSamples(
  { outcomes }: Evaluation,
  { rows }: Detail,
  mode: Mode,
  tokenizer: Tokenizer,
): ReportSample[] {
  return outcomes.map(({ sample, tokens, correct, thoughts }, i) => ({
    mode,
    question: sample.question,
    expected: sample.answer,
    output: tokenizer.decode(tokens),
    correct,
    thoughts: thoughts.map(thought => topTokens(thought, tokenizer, TOP_TOKENS)),
    values: searchValues(sample, rows[i]!.values),
  }));
}

function searchValues(sample: Sample, values: readonly NodeValues[]): SearchValues | null {
  if (values.length === 0) return null;
  const after = values.map(({ thoughts, asks, values }) => ({
    ...{ thoughts, asks },
    // Four digits are more than a colour shows.
    values: Array.from(values, value => Math.round(value * 1e4) / 1e4),
  }));
  return { sample, after };
}

function samplesPath(dir: string): string {
  return `${dir}/samples.json`;
}
