// From a sample to a row: which steps are still written, how many latents stand in their place, what is labelled.
// Knows the modes and the stages; knows no task and no batch.
import { type Prompt, type Row, UNLABELLED } from './batch.ts';
import type { Random } from './random.ts';
import type { Sample } from './sample.ts';
import type { Tokenizer } from './tokenizer.ts';

export type Mode = 'coconut' | 'cot' | 'no-cot' | 'no-thought' | 'pause' | 'no-curriculum' | 'icot';

interface Form {
  /** The reasoning that is written, and learnt: all, none, or less of it from the left with every stage. */
  readonly written: 'all' | 'none' | 'fewer steps' | 'fewer tokens';
  /** What stands between markers in its place: hidden states fed back, a learned pause, or no columns at all. */
  readonly instead: 'latents' | 'pauses' | 'nothing';
}

/** A mode is what becomes of the written steps, and what takes their place. */
export const FORMS: Readonly<Record<Mode, Form>> = {
  coconut: { written: 'fewer steps', instead: 'latents' },
  cot: { written: 'all', instead: 'nothing' },
  'no-cot': { written: 'none', instead: 'nothing' },
  'no-thought': { written: 'fewer steps', instead: 'nothing' },
  pause: { written: 'fewer steps', instead: 'pauses' },
  'no-curriculum': { written: 'none', instead: 'latents' },
  icot: { written: 'fewer tokens', instead: 'nothing' },
};

export const MODES = Object.keys(FORMS) as Mode[];

/** The reference's: iCoT drops 8 tokens an epoch. */
const ICOT_TOKENS = 8;

export interface CurriculumOptions {
  /** c, the latents that stand for one step. */
  readonly latentsPerStep: number;
  /** The last stage that still writes steps: stage s up to this one replaces the first s. */
  readonly maxLatentStage: number;
  /** Past it: as many latents as at it (true), or no more than the sample has steps (false). */
  readonly padLatents: boolean;
  /**
   * Whether rows without latents have the end marker too. `always` is the reference's form; with `latents` the
   * output at the start marker is trained to say the first step before it is ever fed back as a thought.
   */
  readonly endMarker: 'latents' | 'always';
  /** K, the tokens that each stage of `icot` drops from the left of the written steps; by default 8. */
  readonly icotTokens?: number;
}

/** A sample as tokens. */
interface Encoded {
  readonly question: readonly number[];
  readonly steps: readonly (readonly number[])[];
  readonly answer: readonly number[];
}

/** What stands between question and answer: `before`, `silent` columns, `after`, none of it labelled; then text. */
interface Layout {
  readonly before: readonly number[];
  /** Latents or pauses: columns that are computed and say nothing. */
  readonly silent: number;
  readonly after: readonly number[];
  readonly written: readonly number[];
}

/**
 * Latents (or pauses) of a sample where a stage replaces a step: s·c at stage s, whether or not the sample has so
 * many steps (the reference does the same); past the last stage see `padLatents`.
 */
export function latentsOf(steps: number, stage: number, options: CurriculumOptions): number {
  const { latentsPerStep, maxLatentStage, padLatents } = options;
  if (stage <= maxLatentStage) return stage * latentsPerStep;
  return (padLatents ? maxLatentStage : Math.min(steps, maxLatentStage)) * latentsPerStep;
}

/** Latents or pauses of a sample with so many steps in any mode. Where no step is ever written, all are there at once. */
export function silentColumns(mode: Mode, steps: number, stage: number, options: CurriculumOptions): number {
  const { written, instead } = FORMS[mode];
  if (instead === 'nothing') return 0;
  return latentsOf(steps, written === 'none' ? options.maxLatentStage + 1 : stage, options);
}

/**
 * The row of a sample at a stage: `question <start> <latent>×n <end> steps ### answer <eos>`, with the parts the
 * mode has. Labels are on the text after the markers: remaining steps, ###, answer, eos.
 */
export function rowOf(
  sample: Sample,
  tokenizer: Tokenizer,
  mode: Mode,
  stage: number,
  options: CurriculumOptions,
): Row {
  const encoded = encode(sample, tokenizer);
  const layout = layoutOf(encoded, tokenizer, mode, stage, options);
  const prompt = promptFrom(encoded, tokenizer, mode, layout);
  const text = [...layout.written, tokenizer.marker, ...encoded.answer, tokenizer.eos];
  return {
    ...prompt,
    tokens: [...prompt.tokens, ...text],
    labels: [...prompt.tokens.map(() => UNLABELLED), ...text],
  };
}

/** The row with the tokens of the step that each of its latents stands for: what a step head learns to read. */
export function withSteps(
  row: Row,
  sample: Sample,
  tokenizer: Tokenizer,
  { latentsPerStep }: CurriculumOptions,
): Row {
  const { steps } = encode(sample, tokenizer);
  // Latents beyond the last step, as padding makes them, stand for none.
  const of = (latent: number): readonly number[] => steps[Math.floor(latent / latentsPerStep)] ?? [];
  return { ...row, steps: Array.from({ length: row.latents }, (_, latent) => of(latent)) };
}

/** The part of the same row before the labelled text: what generation starts from. */
export function promptOf(
  sample: Sample,
  tokenizer: Tokenizer,
  mode: Mode,
  stage: number,
  options: CurriculumOptions,
): Prompt {
  const encoded = encode(sample, tokenizer);
  return promptFrom(encoded, tokenizer, mode, layoutOf(encoded, tokenizer, mode, stage, options));
}

/** Tokens of the longest row that a sample makes at the stages 0 to `last`. */
export function longestRow(
  sample: Sample,
  tokenizer: Tokenizer,
  mode: Mode,
  last: number,
  options: CurriculumOptions,
): number {
  const encoded = encode(sample, tokenizer);
  const between = Array.from({ length: last + 1 }, (_, stage) => {
    const { before, silent, after, written } = layoutOf(encoded, tokenizer, mode, stage, options);
    return before.length + silent + after.length + written.length;
  });
  return encoded.question.length + Math.max(...between) + 1 + encoded.answer.length + 1;
}

/**
 * A control: the prompt with its latents taken out, or the pauses in their place. The markers stay, so the model
 * still answers without steps.
 */
export function withoutLatents({ tokens, latentStart, latents, pauses }: Prompt): Prompt {
  const { start, count } = pauses ?? { start: latentStart, count: latents };
  return { tokens: count === 0 ? tokens : tokens.toSpliced(start, count), latentStart: -1, latents: 0 };
}

/**
 * The stage that a batch trains at: `stage`, or with probability `uniformProb` one drawn uniformly from
 * 0 … among - 1, by default the earlier ones (at stage 0 there are none, and it stays). The reference's
 * uniform_prob draws from all stages, later ones included: that is `among` = maxLatentStage + 1.
 *
 * Drawn for a batch, not for a sample: then all its rows have one number of latents, as a finite truncation window
 * needs, and none computes latent columns that it doesn't have. Over batches the shares are the same.
 */
export function drawStage(random: Random, stage: number, uniformProb: number, among = stage): number {
  // Both numbers are drawn in any case, so that what follows in the stream does not depend on the outcome.
  const mixed = random.float() < uniformProb;
  const other = random.int(among);
  return mixed && among > 0 ? other : stage;
}

function encode(sample: Sample, tokenizer: Tokenizer): Encoded {
  return {
    question: tokenizer.encodePart('question', sample.question),
    steps: sample.steps.map(step => tokenizer.encodePart('step', step)),
    answer: tokenizer.encodePart('answer', sample.answer),
  };
}

function layoutOf(
  { steps }: Encoded,
  { startLatent, endLatent }: Tokenizer,
  mode: Mode,
  stage: number,
  options: CurriculumOptions,
): Layout {
  const silent = silentColumns(mode, steps.length, stage, options);
  const marked = FORMS[mode].instead !== 'nothing';
  return {
    before: marked ? [startLatent] : [],
    silent,
    after: marked && (silent > 0 || options.endMarker === 'always') ? [endLatent] : [],
    written: writtenOf(steps, mode, stage, options),
  };
}

function writtenOf(
  steps: readonly (readonly number[])[],
  mode: Mode,
  stage: number,
  { maxLatentStage, icotTokens = ICOT_TOKENS }: CurriculumOptions,
): readonly number[] {
  switch (FORMS[mode].written) {
    case 'all':
      return steps.flat();
    case 'none':
      return [];
    case 'fewer steps':
      return stage > maxLatentStage ? [] : steps.slice(stage).flat();
    case 'fewer tokens':
      return steps.flat().slice(stage * icotTokens);
  }
}

function promptFrom(
  { question }: Encoded,
  tokenizer: Tokenizer,
  mode: Mode,
  { before, silent, after }: Layout,
): Prompt {
  const start = question.length + before.length;
  const tokens = [...question, ...before, ...Array<number>(silent).fill(tokenizer.latent), ...after];
  if (silent === 0) return { tokens, latentStart: -1, latents: 0 };
  return FORMS[mode].instead === 'pauses'
    ? { tokens, latentStart: -1, latents: 0, pauses: { start, count: silent } }
    : { tokens, latentStart: start, latents: silent };
}
