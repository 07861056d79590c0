// From a sample to a row: which steps are still written, how many latents stand in their place, what is labelled.
// Knows the modes and the stages; knows no task and no batch.
import { type Prompt, type Row, UNLABELLED } from './batch.ts';
import type { Random } from './random.ts';
import type { Sample } from './sample.ts';
import type { Tokenizer } from './tokenizer.ts';

export type Mode = 'coconut' | 'cot' | 'no-cot';

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
}

/** What stands between question and answer: `before`, then the latents, then `after`, none of it labelled; then text. */
interface Layout {
  readonly before: readonly number[];
  readonly latents: number;
  readonly after: readonly number[];
  /** The reasoning that is still written, and learnt. */
  readonly written: readonly number[];
}

/** `steps` are the tokens of each step. */
type LayoutOf = (
  steps: readonly (readonly number[])[],
  stage: number,
  options: CurriculumOptions,
  tokenizer: Tokenizer,
) => Layout;

/** One function a mode. A mode whose steps fade token by token, or that writes other tokens as pauses, is a row more. */
const LAYOUTS: Readonly<Record<Mode, LayoutOf>> = {
  coconut(steps, stage, options, { startLatent, endLatent }) {
    const latents = latentsOf(steps.length, stage, options);
    return {
      before: [startLatent],
      latents,
      after: latents > 0 || options.endMarker === 'always' ? [endLatent] : [],
      written: stage > options.maxLatentStage ? [] : steps.slice(stage).flat(),
    };
  },
  cot: steps => ({ before: [], latents: 0, after: [], written: steps.flat() }),
  'no-cot': () => ({ before: [], latents: 0, after: [], written: [] }),
};

export const MODES = Object.keys(LAYOUTS) as Mode[];

/**
 * Latents of a sample in `coconut` mode: s·c at stage s, whether or not the sample has so many steps (the
 * reference does the same); past the last stage see `padLatents`.
 */
export function latentsOf(steps: number, stage: number, options: CurriculumOptions): number {
  const { latentsPerStep, maxLatentStage, padLatents } = options;
  if (stage <= maxLatentStage) return stage * latentsPerStep;
  return (padLatents ? maxLatentStage : Math.min(steps, maxLatentStage)) * latentsPerStep;
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
  const layout = layoutOf(sample, tokenizer, mode, stage, options);
  const prompt = promptFrom(sample, tokenizer, layout);
  const text = [
    ...layout.written,
    tokenizer.marker,
    ...tokenizer.encodePart('answer', sample.answer),
    tokenizer.eos,
  ];
  return {
    ...prompt,
    tokens: [...prompt.tokens, ...text],
    labels: [...prompt.tokens.map(() => UNLABELLED), ...text],
  };
}

/** The part of the same row before the labelled text: what generation starts from. */
export function promptOf(
  sample: Sample,
  tokenizer: Tokenizer,
  mode: Mode,
  stage: number,
  options: CurriculumOptions,
): Prompt {
  return promptFrom(sample, tokenizer, layoutOf(sample, tokenizer, mode, stage, options));
}

/** A control: the prompt with its latents taken out. The markers stay, so the model still answers without steps. */
export function withoutLatents({ tokens, latentStart, latents }: Prompt): Prompt {
  return {
    tokens: latents === 0 ? tokens : tokens.toSpliced(latentStart, latents),
    latentStart: -1,
    latents: 0,
  };
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

function layoutOf(
  sample: Sample,
  tokenizer: Tokenizer,
  mode: Mode,
  stage: number,
  options: CurriculumOptions,
): Layout {
  const steps = sample.steps.map(step => tokenizer.encodePart('step', step));
  return LAYOUTS[mode](steps, stage, options, tokenizer);
}

function promptFrom(sample: Sample, tokenizer: Tokenizer, { before, latents, after }: Layout): Prompt {
  const head = [...tokenizer.encodePart('question', sample.question), ...before];
  return {
    tokens: [...head, ...Array<number>(latents).fill(tokenizer.latent), ...after],
    latentStart: latents > 0 ? head.length : -1,
    latents,
  };
}
