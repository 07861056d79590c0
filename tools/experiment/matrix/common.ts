// What several experiments train, said once: so they have the same cells, and each is run once. Knows tasks and their
// budgets; knows no question.
import type { Look, Options, Prerequisite, Training } from '../experiment.ts';

/** Everything that can be seen of a trained model: its thoughts broken in every way, and looked into. */
export const ALL_LOOKS: readonly Look[] = [{ at: 'end', flags: ['--controls', 'all', '--inspect'] }];

/** Half as much again as the slowest of three seeds needed for all stages of coconut (docs/log.md). */
export const POINTER_SAMPLES = 24_000;

/**
 * Pointer chasing as its preset has it, for every arm as many samples: the last stage lasts until they are used up. The
 * rate falls to 0 by then: at a constant one models unlearn, and how they end is an accident (docs/log.md).
 */
export function pointer(options: Options = {}, looks: readonly Look[] = ALL_LOOKS): Training {
  const common: Options = { preset: 'pointer', samples: POINTER_SAMPLES, schedule: 'cosine' };
  return { kind: 'train', options: { ...common, ...options }, looks };
}

/** What an arm is, whatever it is trained on. */
export type Form = Pick<Options, 'mode' | 'feedback' | 'initScale' | 'endMarker'>;

/** A size of graph search. */
export interface Graph {
  /** Of the search itself, and of the pointer chasing before it: the same names of nodes, and positions for both. */
  readonly options: Options;
  readonly first: Options & { readonly nodes: number };
  /** Expected time of the pointer chasing. */
  readonly minutes: number;
}

/** prosqa-mini: 3,600 steps of 32 are 115,200 samples. */
export const MINI: Graph = {
  options: { preset: 'prosqa-mini' },
  // Most of its samples go by in a stage where nothing seems to happen until it does (docs/log.md): no stage is cut short.
  first: { preset: 'pointer', nodes: 12, positions: 64, stageMaxSteps: 9000 },
  minutes: 3,
};

/**
 * Graph search, from a model that follows pointers in writing: from scratch it does not begin (docs/log.md). For a seed
 * it is the same model for every arm, as the paper's arms all start from one GPT-2.
 */
export function search(form: Form, graph: Graph = MINI, looks: readonly Look[] = ALL_LOOKS): Training {
  const { initScale, ...further } = form; // The first model brings its weights with it.
  const scale = initScale === undefined ? {} : { initScale };
  const from: Prerequisite = {
    name: [`pointers in writing, ${graph.first.nodes} nodes`, ...Object.values(scale)].join(', '),
    options: { ...graph.first, mode: 'cot', bptt: 'full', ...scale },
    minutes: graph.minutes,
  };
  return { kind: 'train', options: { ...graph.options, ...further }, from, looks };
}
