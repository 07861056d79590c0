// Exact match on unseen samples: greedy generation, and the answer after the marker compared token by token.
// Knows samples, rows and generation; knows no trainer and no report.
import { collatePrompts, groupByLatents, type Prompt, silentIn } from '../data/batch.ts';
import { type CurriculumOptions, type Mode, promptOf, rowOf, withoutLatents } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Gpt, rowsThatFit } from '../model/gpt.ts';
import { generate } from './generate.ts';
import { isRight, type Scoring } from './scoring.ts';
import type { Tamper } from './tamper.ts';

export interface EvaluateOptions {
  readonly mode: Mode;
  /** The stage whose prompts the model gets: how many latents, and which markers. */
  readonly stage: number;
  readonly curriculum: CurriculumOptions;
  /** Most rows generated at once; fewer where the device's binding limit asks for it. */
  readonly batch: number;
  /**
   * A control: the same prompts with their latents (or pauses) taken out, and the answer asked for at once: a model
   * left alone would write its thoughts out instead and be right (0.99 of the time after one run). So where no written
   * step is due the marker before the answer is part of the prompt, and only as much is read as the right text is long.
   */
  readonly removeLatents?: boolean;
  /** A control: what is done to each thought before it is fed back. `shuffle` needs two samples at least. */
  readonly tamper?: Tamper;
  readonly thoughts?: boolean;
  /** When an answer is right; `text` by default. */
  readonly scoring?: Scoring;
}

/** What the model made of one sample. */
export interface Outcome {
  readonly sample: Sample;
  /** All that it wrote, latents not included. */
  readonly tokens: readonly number[];
  /** Latents, or pauses in their place. */
  readonly latents: number;
  readonly correct: boolean;
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

/** Evaluates `samples`; an answer counts when all of it, and nothing more, stands after the last marker. */
export async function evaluate(
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  const start = performance.now();
  const { mode, stage, curriculum } = options;
  const full = samples.map(sample => promptOf(sample, tokenizer, mode, stage, curriculum));
  const texts = samples.map((sample, i) =>
    rowOf(sample, tokenizer, mode, stage, curriculum).tokens.slice(full[i]!.tokens.length),
  );
  // What the control puts into the model's mouth.
  const given = texts.map(text => (options.removeLatents && text[0] === tokenizer.marker ? [text[0]] : []));
  const prompts = options.removeLatents
    ? full.map((prompt, i) => {
        const bare = withoutLatents(prompt);
        return { ...bare, tokens: [...bare.tokens, ...given[i]!] };
      })
    : full;
  // As long as the longest right text, and a few tokens more that show how a wrong one goes on.
  const maxTokens = Math.max(...texts.map(text => text.length)) + 4;
  const longest = Math.max(...prompts.map(prompt => prompt.tokens.length)) + maxTokens;
  const batch = Math.min(options.batch, rowsThatFit(model.parameters.gpu, model.config, longest));
  const outcomes: Outcome[] = [];
  let written = 0;
  for (const { rows, indices } of groupByLatents(prompts))
    for (const [at, end] of evenParts(rows.length, batch)) {
      const part: readonly Prompt[] = rows.slice(at, end);
      const { thoughts = false, tamper = 'none' } = options;
      const settings = { maxTokens, eos: tokenizer.eos, thoughts, tamper };
      const made = await generate(model, collatePrompts(part, tokenizer.pad), settings);
      for (const [i, generated] of made.tokens.entries()) {
        const index = indices[at + i]!;
        const sample = samples[index]!;
        const tokens = [...given[index]!, ...generated];
        const latents = silentIn(part[i]!);
        written += generated.length + (made.ended[i] ? 1 : 0) + latents;
        const correct = options.removeLatents
          ? isAnswer(tokens.slice(0, texts[index]!.length - 1), sample, tokenizer, options.scoring)
          : made.ended[i]! && isAnswer(tokens, sample, tokenizer, options.scoring);
        outcomes[index] = { sample, tokens, latents, correct, thoughts: made.thoughts[i] ?? [] };
      }
    }
  return {
    outcomes,
    exactMatch: outcomes.filter(outcome => outcome.correct).length / samples.length,
    tokensPerSample: written / samples.length,
    secondsPerSample: (performance.now() - start) / 1000 / samples.length,
  };
}

/** Ranges that cut `count` rows into as few parts of at most `most` as there can be, as equal as can be. */
function evenParts(count: number, most: number): [from: number, to: number][] {
  const parts = Math.ceil(count / most);
  const edge = (part: number): number => Math.floor((part * count) / parts);
  return Array.from({ length: parts }, (_, part) => [edge(part), edge(part + 1)]);
}

/** Whether the text after the last `###` is the sample's answer, whichever tokens it was written in. */
export function isAnswer(
  tokens: readonly number[],
  { answer }: Sample,
  tokenizer: Tokenizer,
  scoring: Scoring = 'text',
): boolean {
  const marker = tokens.lastIndexOf(tokenizer.marker);
  const right = tokenizer.decode(tokenizer.encodePart('answer', answer));
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
