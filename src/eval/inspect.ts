// Looking inside a model that thinks: what it writes after fewer thoughts, what each thought says of the graph, what the
// thoughts are as vectors, and what a snap to a token loses. Knows evaluation and prompts; knows no files.
import type { Prompt } from '../data/batch.ts';
import { FORMS, promptOf } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpt } from '../model/gpt.ts';
import { type AnswerOptions, type Evaluation, evaluate, type Outcome } from './evaluate.ts';
import { type NodeShares, type NodeValues, nodeShares, nodeValues, type Spoken } from './nodes.ts';
import { type ClassCounts, countClasses, type PathClass, pathClass } from './paths.ts';
import type { Asking } from './prompting.ts';
import { searchOf } from './search.ts';
import { divergence, nextTokens, speechAfter } from './speech.ts';
import {
  type Thinking,
  type ThoughtEntropy,
  type ThoughtNorms,
  think,
  thoughtEntropy,
  thoughtNorms,
} from './states.ts';

export interface Inspection {
  readonly samples: number;
  /** Of what the model writes as it is asked; null where no sample is a graph search. */
  readonly classes: ClassCounts | null;
  /**
   * Made to write the rest of its reasoning after k thoughts, from none to all; after all alone in a mode that never
   * writes any; empty without thoughts, as all below.
   */
  readonly forced: readonly Forced[];
  readonly nodes: readonly NodeShares[];
  readonly norms: ThoughtNorms | null;
  readonly entropy: readonly ThoughtEntropy[];
  readonly snapKl: readonly SnapLoss[];
}

export interface Forced {
  readonly thoughts: number;
  readonly exactMatch: number;
  readonly classes: ClassCounts | null;
}

/** What it loses to put a token's embedding in the place of one thought, the others left as they are. */
export interface SnapLoss {
  readonly thought: number;
  /**
   * Mean KL divergence in nats, from what the model would say as its next step (as the answer where none is left) after
   * the thoughts of this step, to what it would say with this one snapped.
   */
  readonly kl: number;
}

/** An inspection, and the single samples that a report shows. */
export interface Detail {
  readonly inspection: Inspection;
  /** By sample: its thoughts, and the values of its nodes after each number of thoughts. */
  readonly rows: readonly { readonly thinking: Thinking; readonly values: readonly NodeValues[] }[];
}

/**
 * Inspects a model on samples, of which `whole` is the evaluation as it is asked. Costs about three evaluations for each
 * step that thoughts replace: one that writes, two passes over the prompts and one more for every thought.
 */
export async function inspect(
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  asking: Asking,
  whole: Evaluation,
  { batch, scoring }: Pick<AnswerOptions, 'batch' | 'scoring'>,
): Promise<Detail> {
  const { mode, stage, curriculum } = asking;
  const own = samples.map(sample => promptOf(sample, tokenizer, mode, stage, curriculum));
  const classes = classesOf(whole.outcomes, tokenizer);
  if (own.every(({ latents }) => latents === 0)) {
    const inspection = {
      samples: samples.length,
      classes,
      forced: [],
      nodes: [],
      norms: null,
      entropy: [],
      snapKl: [],
    };
    return { inspection, rows: samples.map(() => ({ thinking: { states: [], words: [] }, values: [] })) };
  }
  const stages = stagesOf(asking);
  const forced: Forced[] = [];
  const values: NodeValues[][] = samples.map(() => []);
  const snapKl: SnapLoss[] = [];
  for (const at of stages) {
    const written =
      at === stages.at(-1)
        ? whole
        : await evaluate(model, tokenizer, samples, {
            ...{ mode: 'coconut', stage: at, curriculum, batch, scoring },
          });
    const speeches = samples.map(sample => speechAfter(sample, tokenizer, at, curriculum));
    const prompts = speeches.map(({ prompt }) => prompt);
    const thoughts = Math.max(...prompts.map(({ latents }) => latents));
    forced.push({
      thoughts,
      exactMatch: written.exactMatch,
      classes: classesOf(written.outcomes, tokenizer),
    });

    const next = await nextTokens(model, tokenizer, prompts, { batch });
    const searches = samples.flatMap((sample, index) => {
      const search = searchOf(sample);
      return search ? [{ index, sample, search, speech: speeches[index]!, next: next[index]! }] : [];
    });
    const valued = await nodeValues(model, tokenizer, searches satisfies Spoken[], { batch });
    for (const [i, { index }] of searches.entries()) values[index]!.push(valued[i]!);

    // The thoughts that this stage has and the one before had not.
    for (let thought = (snapKl.at(-1)?.thought ?? 0) + 1; thought <= thoughts; thought++)
      snapKl.push({ thought, kl: await snapLoss(model, tokenizer, prompts, next, thought, batch) });
  }
  const thinking = await think(model, tokenizer, own, batch);
  const inspection: Inspection = {
    samples: samples.length,
    classes,
    forced,
    nodes: nodeShares(values.flat()),
    norms: await thoughtNorms(model, tokenizer, samples, thinking, curriculum.latentsPerStep),
    entropy: thoughtEntropy(thinking),
    snapKl,
  };
  return { inspection, rows: samples.map((_, i) => ({ thinking: thinking[i]!, values: values[i]! })) };
}

/**
 * The stages of coconut whose rows have fewer thoughts than the model's own, and its own. A mode that writes no step from
 * the beginning has rows of one form only: those past the last stage.
 */
function stagesOf({ mode, stage, curriculum }: Asking): number[] {
  if (FORMS[mode].written === 'none') return [curriculum.maxLatentStage + 1];
  const before = Array.from({ length: Math.min(stage, curriculum.maxLatentStage) }, (_, at) => at);
  return [...before, stage];
}

/** Classes of the samples that are searches; null where none is. */
function classesOf(outcomes: readonly Outcome[], tokenizer: Tokenizer): ClassCounts | null {
  const classes = outcomes.flatMap(outcome => classOf(outcome, tokenizer) ?? []);
  return classes.length > 0 ? countClasses(classes) : null;
}

/** The class of what was written about one sample; undefined where it is no search. */
export function classOf(
  { sample, tokens, whole, correct }: Outcome,
  tokenizer: Tokenizer,
): PathClass | undefined {
  const search = searchOf(sample);
  return search && pathClass(search, { text: tokenizer.decode(tokens), whole, correct });
}

/** Over the rows that have the thought; `next` is what they say with nothing done to it. */
async function snapLoss(
  model: Gpt,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  next: readonly Float64Array[],
  thought: number,
  batch: number,
): Promise<number> {
  const rows = [...prompts.keys()].filter(i => prompts[i]!.latents >= thought);
  const having = rows.map(i => prompts[i]!);
  const snapped = await nextTokens(model, tokenizer, having, {
    batch,
    control: { control: 'snap', thought },
  });
  return rows.reduce((sum, i, at) => sum + divergence(next[i]!, snapped[at]!), 0) / rows.length;
}
