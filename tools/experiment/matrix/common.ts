// What several experiments train, said once: so they have the same cells, and each is run once. Knows tasks and their
// budgets; knows no question.
import type { Look, Options, Prerequisite, Training } from '../experiment.ts';

/** Everything that can be seen of a trained model: its thoughts broken in every way, and looked into. */
export const ALL_LOOKS: readonly Look[] = [{ at: 'end', flags: ['--controls', 'all', '--inspect'] }];

/** Half as much again as the slowest of three seeds needed for all stages of coconut (docs/log.md). */
export const POINTER_SAMPLES = 24_000;

/** Pointer chasing as its preset has it, for every arm as many samples: the last stage lasts until they are used up. */
export function pointer(options: Options = {}, looks: readonly Look[] = ALL_LOOKS): Training {
  return { kind: 'train', options: { preset: 'pointer', samples: POINTER_SAMPLES, ...options }, looks };
}

/** What an arm is, whatever it is trained on. */
export type Form = Pick<Options, 'mode' | 'feedback' | 'initScale' | 'endMarker'>;

/** A size of graph search. */
export interface Graph {
  /** Of the search itself, and of the pointer chasing before it: the same names of nodes, and positions for both. */
  readonly options: Options;
  readonly first: Options;
  /** Expected time of the pointer chasing. */
  readonly minutes: number;
}

/** prosqa-mini: 3,600 steps of 32 are 115,200 samples. */
export const MINI: Graph = {
  options: { preset: 'prosqa-mini' },
  first: { preset: 'pointer', nodes: 12, positions: 64, samples: 48_000 },
  minutes: 2,
};

/**
 * Graph search, from a model that follows pointers: from scratch it does not begin (docs/log.md). The first model is
 * trained in the arm's own form, and on as many samples whatever the arm: no arm gets more than another.
 */
export function search(form: Form, graph: Graph = MINI, looks: readonly Look[] = ALL_LOOKS): Training {
  const { initScale: _, ...further } = form; // The first model brings its weights with it.
  const name = ['pointers first', ...Object.values(form)].join(', ');
  const from: Prerequisite = {
    name,
    options: { ...graph.first, bptt: 'full', ...form },
    minutes: graph.minutes,
  };
  return { kind: 'train', options: { ...graph.options, ...further }, from, looks };
}
