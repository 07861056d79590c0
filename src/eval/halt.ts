// Thoughts by need: a row stops thinking when its thoughts have settled, and answers. Knows generation and prompts.
//
// What a row would do at any threshold follows from two tables: by how much the k-th thought changed something, and
// whether the answer after k thoughts is right. So the tables are made once, k by k, for all rows, and every threshold
// is read from them. That costs as many evaluations as there are thoughts at most, and one more, and for a single
// threshold computes more than a run that stops by itself would; in return the whole curve is there.
import { type CurriculumOptions, promptOf } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { UserError } from '../errors.ts';
import type { Gpt } from '../model/gpt.ts';
import { type Ask, answer } from './evaluate.ts';
import type { Scoring } from './scoring.ts';
import { divergence, nextTokens, speechAfter } from './speech.ts';
import { norm, think } from './states.ts';

/**
 * What must have settled, after k thoughts (k ≥ 1):
 * - `state`: what is fed back: |s(k+1) - s(k)| / |s(k)|, where s(k+1) is what the k-th thought would be followed by.
 * - `answer`: the distribution over the word that the answer comes down to (speech.ts), asked for at once:
 *   KL(after k - 1 thoughts ‖ after k).
 */
export const HALT_RULES = ['state', 'answer'] as const;
export type HaltRule = (typeof HALT_RULES)[number];

export interface Halt {
  readonly rule: HaltRule;
  /** A row stops after the first thought whose change is below it: 0 never, Infinity after one thought. */
  readonly threshold: number;
}

export interface HaltPoint {
  readonly threshold: number;
  readonly meanThoughts: number;
  readonly exactMatch: number;
}

export interface HaltResult extends HaltPoint {
  readonly rule: HaltRule;
  readonly maxThoughts: number;
  /** Rows that stopped after k thoughts, by k from 0 to `maxThoughts`. */
  readonly counts: readonly number[];
  /** The same for thresholds from 0 up, at which ever more rows stop early. */
  readonly curve: readonly HaltPoint[];
  /** The same number of thoughts for every row. */
  readonly fixed: readonly { readonly thoughts: number; readonly exactMatch: number }[];
}

export interface HaltOptions extends Halt {
  readonly maxThoughts: number;
  readonly endMarker: CurriculumOptions['endMarker'];
  readonly batch: number;
  readonly scoring?: Scoring | undefined;
}

/** Parts into which the observed changes are cut for the curve. */
const CURVE = 12;

/**
 * Evaluates `samples` with as many thoughts as each needs, `maxThoughts` at most. After them the answer is asked for at
 * once: the marker is put before it, since a model that has thought less than it was trained to would write the rest.
 * Throws UserError where rows with so many thoughts are too long for the model.
 */
export async function evaluateHalting(
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  options: HaltOptions,
): Promise<HaltResult> {
  const { rule, threshold, maxThoughts, endMarker, batch, scoring } = options;
  const asksAfter = countTo(maxThoughts + 1).map(k =>
    samples.map(sample => answerAfter(sample, tokenizer, k, endMarker)),
  );
  const longest = Math.max(
    ...asksAfter.at(-1)!.map(({ prompt, text }) => prompt.tokens.length + text.length),
  );
  if (longest > model.config.positions)
    throw new UserError(
      `${maxThoughts} thoughts make rows of ${longest} tokens, the model has ${model.config.positions} positions`,
    );
  const right: boolean[][] = [];
  for (const asks of asksAfter) {
    const { outcomes } = await answer(model, tokenizer, asks, { batch, scoring });
    right.push(outcomes.map(({ correct }) => correct));
  }
  const changes = await CHANGES[rule](model, tokenizer, samples, options);

  const thoughtsAt = (limit: number): number[] =>
    samples.map((_, i) => {
      const settled = changes.findIndex(change => change[i]! < limit);
      return settled < 0 ? maxThoughts : settled + 1;
    });
  const pointAt = (limit: number): HaltPoint => {
    const thoughts = thoughtsAt(limit);
    return {
      threshold: limit,
      meanThoughts: thoughts.reduce((a, b) => a + b, 0) / samples.length,
      exactMatch: share(thoughts.map((k, i) => right[k]![i]!)),
    };
  };
  const counts = Array<number>(maxThoughts + 1).fill(0);
  for (const k of thoughtsAt(threshold)) counts[k]!++;
  return {
    ...{ rule, ...pointAt(threshold), maxThoughts, counts },
    curve: thresholds(changes.flat()).map(pointAt),
    fixed: right.map((rows, thoughts) => ({ thoughts, exactMatch: share(rows) })),
  };
}

type EndMarker = HaltOptions['endMarker'];

/** The last stage of a curriculum of k thoughts: rows without written steps. */
function withThoughts(k: number, endMarker: EndMarker): { stage: number; curriculum: CurriculumOptions } {
  return { stage: k + 1, curriculum: { latentsPerStep: 1, maxLatentStage: k, padLatents: true, endMarker } };
}

/** The answer asked for after k thoughts. */
function answerAfter(sample: Sample, tokenizer: Tokenizer, k: number, endMarker: EndMarker): Ask {
  const { stage, curriculum } = withThoughts(k, endMarker);
  const prompt = promptOf(sample, tokenizer, 'coconut', stage, curriculum);
  const text = [tokenizer.marker, ...tokenizer.encodePart('answer', sample.answer), tokenizer.eos];
  return { sample, prompt, text, given: [tokenizer.marker], cut: false };
}

/** By how much the k-th thought changed each row, for k from 1 to one below the most: [k - 1][row]. */
type Changes = (
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  options: HaltOptions,
) => Promise<number[][]>;

const CHANGES: Readonly<Record<HaltRule, Changes>> = {
  async state(model, tokenizer, samples, { maxThoughts, endMarker, batch }) {
    const prompts = samples.map(sample => answerAfter(sample, tokenizer, maxThoughts, endMarker).prompt);
    const rows = await think(model, tokenizer, prompts, batch);
    return countTo(maxThoughts - 1).map(k =>
      rows.map(({ states }) => {
        const [before, after] = [states[k]!, states[k + 1]!];
        return norm(after.map((x, c) => x - before[c]!)) / norm(before);
      }),
    );
  },
  async answer(model, tokenizer, samples, { maxThoughts, endMarker, batch }) {
    const answers: Float64Array[][] = [];
    for (const k of countTo(maxThoughts)) {
      const { stage, curriculum } = withThoughts(k, endMarker);
      const speeches = samples.map(sample => speechAfter(sample, tokenizer, stage, curriculum));
      const prompts = speeches.map(({ prompt }) => prompt);
      answers.push(await nextTokens(model, tokenizer, prompts, { batch }));
    }
    return answers.slice(1).map((after, k) => after.map((said, i) => divergence(answers[k]![i]!, said)));
  },
};

/** 0 … count - 1. */
function countTo(count: number): number[] {
  return Array.from({ length: Math.max(0, count) }, (_, k) => k);
}

/** 0, then values between which equal parts of the changes lie, and one above them all. */
function thresholds(changes: readonly number[]): number[] {
  const sorted = [...changes].sort((a, b) => a - b);
  if (sorted.length === 0) return [0];
  const cuts = Array.from(
    { length: CURVE - 1 },
    (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / CURVE)]!,
  );
  const above = sorted.at(-1)! * (1 + 1e-6) + Number.MIN_VALUE;
  return [...new Set([0, ...cuts, above])];
}

function share(right: readonly boolean[]): number {
  return right.filter(Boolean).length / right.length;
}
