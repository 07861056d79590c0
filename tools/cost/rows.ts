// Rows that have a length and labels and mean nothing: what a step costs does not depend on what is written. Knows the
// form of a row; knows no task but by the lengths of its rows.
import { type Row, UNLABELLED } from '../../src/data/batch.ts';
import { rowOf } from '../../src/data/curriculum.ts';
import { generatedSource } from '../../src/data/source.ts';
import { TASKS } from '../../src/data/tasks.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import type { TrainOptions } from '../../src/train/option-table.ts';
import { lastStage } from '../../src/train/schedule.ts';
import { mostReasoning } from '../../src/train/setup.ts';

/** `question <start> <latent>×n <end> text`, the text labelled. */
export interface RowForm {
  readonly question: number;
  readonly latents: number;
  readonly text: number;
}

const MARKERS = 2;

export function columnsOf({ question, latents, text }: RowForm): number {
  return question + MARKERS + latents + text;
}

/** `count` rows of a vocabulary of V tokens. */
export function rowsOf({ question, latents, text }: RowForm, V: number, count: number): Row[] {
  const head = question + MARKERS + latents;
  return Array.from({ length: count }, (_, b) => {
    const tokens = Array.from({ length: head + text }, (_, t) => (7919 * b + 104729 * t) % V);
    return {
      tokens,
      labels: tokens.map((token, t) => (t < head ? UNLABELLED : token)),
      latentStart: latents > 0 ? question + 1 : -1,
      latents,
    };
  });
}

/** The same length with n written, labelled columns in the latents' place, as ordinary training text has them. */
export function written({ question, latents, text }: RowForm): RowForm {
  return { question, latents: 0, text: latents + text };
}

const MEASURED = 200;

/** Mean lengths of a preset's rows at its last stage, and the vocabulary of its task. */
export function presetRows(options: TrainOptions): { form: RowForm; vocabulary: number } {
  const { task, nodes, hops, maxEdges, mode } = options;
  if (mode === 'lm') throw new Error('rows of a preset are rows of samples');
  const tokenizer = WordTokenizer.fromWords(TASKS[task].words({ nodes, hops, maxEdges }));
  const source = generatedSource(task, { nodes, hops, maxEdges }, options.seed, 'train');
  const samples = Array.from({ length: MEASURED }, (_, i) => source.at(i));
  const stage = lastStage(mode, options, mostReasoning(samples, tokenizer));
  const rows = samples.map(sample => rowOf(sample, tokenizer, mode, stage, options));
  const mean = (length: (row: Row) => number): number =>
    Math.round(rows.reduce((sum, row) => sum + length(row), 0) / rows.length);
  const text = mean(({ labels }) => labels.filter(label => label !== UNLABELLED).length);
  const latents = mean(row => row.latents);
  const all = mean(({ tokens }) => tokens.length);
  const form = { question: Math.max(1, all - MARKERS - latents - text), latents, text };
  return { form, vocabulary: tokenizer.size };
}
