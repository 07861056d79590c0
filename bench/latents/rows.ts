// The rows of the latents bench: training rows of the generated tasks with n thoughts, and the same rows with written
// steps in the thoughts' columns. Knows tasks and the curriculum; knows no device.
import type { Row } from '../../src/data/batch.ts';
import { type CurriculumOptions, promptOf, rowOf } from '../../src/data/curriculum.ts';
import { generatedSource } from '../../src/data/source.ts';
import { TASKS, type TaskName, type TaskOptions } from '../../src/data/tasks.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';

/** A task at the size of one of the presets: model, and questions of one length. */
export interface Size {
  readonly name: string;
  readonly task: TaskName;
  readonly options: TaskOptions;
  /** Columns of the questions that are taken; others are left out, so that no row is padded. */
  readonly question: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}

/** The presets' models, with questions of six hops where the presets have three: a hop for each of six thoughts. */
export const SIZES: Readonly<Record<'pointer' | 'prosqa-mini', Size>> = {
  pointer: {
    name: 'pointer',
    task: 'pointer',
    options: { nodes: 9, hops: [6, 6], maxEdges: null },
    question: 20,
    width: 96,
    layers: 2,
    heads: 4,
  },
  'prosqa-mini': {
    name: 'prosqa-mini',
    task: 'prosqa-mini',
    // 12 nodes, the preset's, hold no path of six hops.
    options: { nodes: 18, hops: [6, 6], maxEdges: 22 },
    question: 42,
    width: 96,
    layers: 2,
    heads: 4,
  },
};

/** Most thoughts that `sizeWith` has questions for. */
export const MOST_LATENTS = 16;

/** The pointer preset's model, with questions of one length for any number of thoughts, a hop for each. */
export function sizeWith(n: number): Size {
  const nodes = MOST_LATENTS + 2;
  // Without thoughts there is still something to ask.
  const hops = Math.max(1, n);
  return {
    ...SIZES.pointer,
    name: `pointer, ${n} thoughts`,
    options: { nodes, hops: [hops, hops], maxEdges: null },
    question: 2 * nodes + 2,
  };
}

const SEED = 1;

export interface PairedRows {
  readonly tokenizer: Tokenizer;
  /** `question <start> <latent>×n <end> ### answer <eos>`: the answer is labelled. */
  readonly latents: readonly Row[];
  /** `question <start> <end> step×n ### answer <eos>`, of the same length: steps and answer are labelled. */
  readonly written: readonly Row[];
}

/**
 * Rows of `count` samples twice: at the stage that has a latent for each of the n steps (by default all of them; with 0
 * both are the same), and as ordinary training text, at stage 0, which writes and labels those steps. Both have the end
 * marker, so that all lengths are equal.
 */
export function pairedRows(size: Size, count: number, n = size.options.hops[0]): PairedRows {
  const tokenizer = tokenizerFor(size);
  const options = curriculum(n);
  const samples = samplesOf(size, tokenizer, count);
  return {
    tokenizer,
    latents: samples.map(sample => rowOf(sample, tokenizer, 'coconut', n, options)),
    written: samples.map(sample => rowOf(sample, tokenizer, 'coconut', 0, options)),
  };
}

/** Rows with n thoughts each and nothing written before the answer, whatever the number of hops. */
export function rowsWith(size: Size, n: number, count: number): Row[] {
  const tokenizer = tokenizerFor(size);
  const samples = samplesOf(size, tokenizer, count);
  return samples.map(sample => rowOf(sample, tokenizer, 'coconut', n + 1, curriculum(n)));
}

/** What generation starts from: the parts of the rows before the answer. */
export interface PairedPrompts {
  /** `question <start> <latent>×n <end>` */
  readonly latents: readonly Prompted[];
  /** `question <start> <end>`: the steps are still to be written. */
  readonly asked: readonly Prompted[];
  /** `question <start> <end> step×n`: they stand there. */
  readonly read: readonly Prompted[];
}

type Prompted = ReturnType<typeof promptOf>;

export function pairedPrompts(size: Size, count: number): PairedPrompts {
  const tokenizer = tokenizerFor(size);
  const n = size.options.hops[0];
  const options = curriculum(n);
  const samples = samplesOf(size, tokenizer, count);
  const asked = samples.map(sample => promptOf(sample, tokenizer, 'coconut', 0, options));
  const steps = samples.map(sample => sample.steps.flatMap(step => tokenizer.encode(step)));
  return {
    latents: samples.map(sample => promptOf(sample, tokenizer, 'coconut', n, options)),
    asked,
    read: asked.map((prompt, i) => ({ ...prompt, tokens: [...prompt.tokens, ...steps[i]!] })),
  };
}

export function tokenizerFor({ task, options }: Size): Tokenizer {
  return WordTokenizer.fromWords(TASKS[task].words(options));
}

function curriculum(n: number): CurriculumOptions {
  return { latentsPerStep: 1, maxLatentStage: n, padLatents: true, endMarker: 'always' };
}

/** The first `count` training samples whose questions have the wanted length. */
function samplesOf({ task, options, question }: Size, tokenizer: Tokenizer, count: number) {
  const source = generatedSource(task, options, SEED, 'train');
  const samples = [];
  for (let i = 0; samples.length < count; i++) {
    const sample = source.at(i);
    if (tokenizer.encode(sample.question).length === question) samples.push(sample);
  }
  return samples;
}
