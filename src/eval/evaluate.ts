// Exact match on unseen samples: greedy generation, and the answer after the marker compared token by token.
// Knows samples, rows, generation and controls; knows no trainer and no report.
import { collatePrompts, type Prompt, silentIn } from '../data/batch.ts';
import { type CurriculumOptions, type Mode, promptOf, rowOf, withoutLatents } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Gpt, rowsThatFit } from '../model/gpt.ts';
import { type Control, checkControl, controlFeed, NO_CONTROL } from './control.ts';
import { generate } from './generate.ts';
import { partsOf } from './parts.ts';
import { isRight, type Scoring } from './scoring.ts';

export interface EvaluateOptions {
  readonly mode: Mode;
  /** The stage whose prompts the model gets: how many latents, and which markers. */
  readonly stage: number;
  readonly curriculum: CurriculumOptions;
  /** Most rows generated at once; fewer where the device's binding limit asks for it. */
  readonly batch: number;
  /** What is done to the thoughts; nothing by default. */
  readonly control?: Control;
  /** Of the control `noise`; 0 by default. */
  readonly seed?: number;
  readonly thoughts?: boolean;
  /** When an answer is right; `text` by default. */
  readonly scoring?: Scoring | undefined;
}

/** What the model made of one sample. */
export interface Outcome {
  readonly sample: Sample;
  /** All that it wrote, latents not included. */
  readonly tokens: readonly number[];
  /** How many of them the model wrote itself, none being given, and the end token if it came to one. */
  readonly written: number;
  /** Latents, or pauses in their place. */
  readonly latents: number;
  readonly correct: boolean;
  /** Whether it was to write all steps of its reasoning, and not only those that thoughts have not replaced. */
  readonly whole: boolean;
  /** Thought by thought, probabilities [V]; empty unless asked for. */
  readonly thoughts: readonly Float32Array[];
}

export interface Evaluation {
  /** In the order of the samples. */
  readonly outcomes: readonly Outcome[];
  readonly exactMatch: number;
  /** Mean of tokens written (the end token included) plus latents or pauses. */
  readonly tokensPerSample: number;
  readonly secondsPerSample: number;
}

/** A sample as a model is asked it. */
export interface Ask {
  readonly sample: Sample;
  readonly prompt: Prompt;
  /** The right text after the prompt: steps that are to be written, marker, answer, end token. */
  readonly text: readonly number[];
  /** What is put into the model's mouth, the beginning of `text`. */
  readonly given: readonly number[];
  /**
   * Whether no more is read than the right text is long: a model that goes on after the answer is then as right as one
   * that ends.
   */
  readonly cut: boolean;
}

/**
 * Evaluates `samples`; an answer counts when all of it, and nothing more, stands after the last marker. Throws
 * UserError where the control cannot be applied.
 */
export async function evaluate(
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { mode, stage, curriculum, control = NO_CONTROL } = options;
  const asks = samples.map((sample): Ask => {
    const prompt = promptOf(sample, tokenizer, mode, stage, curriculum);
    const text = rowOf(sample, tokenizer, mode, stage, curriculum).tokens.slice(prompt.tokens.length);
    const ask = { sample, prompt, text, given: [], cut: false };
    return control.control === 'no-latent' ? withoutThinking(ask, tokenizer) : ask;
  });
  return answer(model, tokenizer, asks, options);
}

/**
 * The control `no-latent`: the same prompt with its latents (or pauses) taken out, and the answer asked for at once: a model left
 * alone would write its thoughts out instead and be right (0.99 of the time after one run). So where no written step
 * is due the marker before the answer is part of the prompt, and only as much is read as the right text is long.
 */
function withoutThinking({ sample, prompt, text }: Ask, tokenizer: Tokenizer): Ask {
  const given = text[0] === tokenizer.marker ? [tokenizer.marker] : [];
  return { sample, prompt: withoutLatents(prompt), text, given, cut: true };
}

export type AnswerOptions = Pick<EvaluateOptions, 'batch' | 'control' | 'seed' | 'thoughts' | 'scoring'>;

/** What the model answers to each ask. */
export async function answer(
  model: Gpt,
  tokenizer: Tokenizer,
  asks: readonly Ask[],
  { control = NO_CONTROL, seed = 0, thoughts = false, scoring, ...options }: AnswerOptions,
): Promise<Evaluation> {
  const start = performance.now();
  const prompts = asks.map(({ prompt, given }) => ({ ...prompt, tokens: [...prompt.tokens, ...given] }));
  if (control.control !== 'no-latent')
    checkControl(control, Math.max(...prompts.map(({ latents }) => latents)), asks.length);
  // As long as the longest right text, and a few tokens more that show how a wrong one goes on.
  const maxTokens = Math.max(...asks.map(({ text }) => text.length)) + 4;
  const longest = Math.max(...prompts.map(prompt => prompt.tokens.length)) + maxTokens;
  const batch = Math.min(options.batch, rowsThatFit(model.parameters.gpu, model.config, longest));
  const outcomes: Outcome[] = [];
  for (const part of partsOf(prompts, batch)) {
    const company = control.control === 'shuffle' && part.length === 1 ? [companion(prompts, part[0]!)] : [];
    const rows = [...part.map(index => prompts[index]!), ...company];
    const feed = controlFeed(model, control, part, seed);
    const settings = { maxTokens, eos: tokenizer.eos, thoughts, feed };
    const made = await generate(model, collatePrompts(rows, tokenizer.pad), settings);
    for (const [b, index] of part.entries()) {
      const { sample, given, text, cut } = asks[index]!;
      const tokens = [...given, ...made.tokens[b]!];
      const latents = silentIn(prompts[index]!);
      const written = made.tokens[b]!.length + (made.ended[b] ? 1 : 0);
      const correct = cut
        ? isAnswer(tokens.slice(0, text.length - 1), sample, tokenizer, scoring)
        : made.ended[b]! && isAnswer(tokens, sample, tokenizer, scoring);
      const whole = writesAll(text, sample, tokenizer);
      outcomes[index] = {
        sample,
        tokens,
        written,
        latents,
        correct,
        whole,
        thoughts: made.thoughts[b] ?? [],
      };
    }
  }
  return {
    outcomes,
    exactMatch: outcomes.filter(outcome => outcome.correct).length / asks.length,
    tokensPerSample: outcomes.reduce((sum, { written, latents }) => sum + written + latents, 0) / asks.length,
    secondsPerSample: (performance.now() - start) / 1000 / asks.length,
  };
}

/** The shortest other prompt in the form of one that would stand alone in its batch: with its latents and their end. */
function companion(prompts: readonly Prompt[], alone: number): Prompt {
  const { tokens, latents, latentStart } = prompts[alone]!;
  const questions = prompts.toSpliced(alone, 1).map(prompt => questionOf(prompt));
  const question = questions.reduce((best, other) => (other.length < best.length ? other : best));
  if (latents === 0) return { tokens: question, latents, latentStart };
  return { tokens: [...question, ...tokens.slice(latentStart)], latents, latentStart: question.length };
}

function questionOf({ tokens, latents, latentStart }: Prompt): readonly number[] {
  return latents === 0 ? tokens : tokens.slice(0, latentStart);
}

/** Whether a right text has all steps of the sample. */
function writesAll(text: readonly number[], { steps }: Sample, tokenizer: Tokenizer): boolean {
  const all = steps.reduce((sum, step) => sum + tokenizer.encodePart('step', step).length, 0);
  return text.lastIndexOf(tokenizer.marker) >= all;
}

/**
 * Whether the text after the last `###` is the sample's answer, whichever tokens it was written in. A number may stand
 * after any `#`, as in GSM8k's own `#### 18`, which a model may write whose vocabulary has `####` as one token.
 */
export function isAnswer(
  tokens: readonly number[],
  { answer }: Sample,
  tokenizer: Tokenizer,
  scoring: Scoring = 'text',
): boolean {
  const encoded = tokenizer.encodePart('answer', answer);
  // Of an answer without tokens of its own nothing written can be known to be right.
  if (encoded.includes(tokenizer.unknown)) return false;
  const right = tokenizer.decode(encoded);
  if (scoring === 'number') {
    const said = tokenizer.decode(tokens);
    return said.includes('#') && isRight(said, right, scoring);
  }
  const marker = tokens.lastIndexOf(tokenizer.marker);
  return marker >= 0 && isRight(tokenizer.decode(tokens.slice(marker + 1)), right, scoring);
}

/** The `count` likeliest tokens of a thought, likeliest first. */
export function topTokens(
  probabilities: Float32Array,
  tokenizer: Tokenizer,
  count: number,
): { token: string; probability: number }[] {
  return [...probabilities.keys()]
    .sort((a, b) => probabilities[b]! - probabilities[a]!)
    .slice(0, count)
    .map(id => ({ token: tokenizer.decode([id]), probability: probabilities[id]! }));
}
