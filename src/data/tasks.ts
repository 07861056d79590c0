// The table of generated tasks. Knows what each needs to be drawn and tokenised; a further task is one more row.
import { UserError } from '../errors.ts';
import { checkGraphOptions, type GraphOptions } from './graph.ts';
import { checkPointerOptions, pointerKey, pointerSample, pointerWords } from './pointer.ts';
import { checkProsqaNodes, prosqaSample, prosqaWords } from './prosqa.ts';
import { prosqaMiniSample, prosqaMiniWords } from './prosqa-mini.ts';
import type { Sample } from './sample.ts';

export type TaskName = 'pointer' | 'prosqa-mini' | 'prosqa';
export type TaskOptions = GraphOptions;

export interface Task {
  /** The vocabulary, without the tokenizer's reserved words. */
  words(options: TaskOptions): string[];
  /** Sample `index` of the stream `seed`: a pure function. */
  sample(seed: number, index: number, options: TaskOptions): Sample;
  /** What makes a question the same question: no two splits share a key (source.ts). */
  key(sample: Sample): string;
  /** Impossible options are a UserError, before any sample is drawn. */
  check(options: TaskOptions): void;
}

export const TASKS: Readonly<Record<TaskName, Task>> = {
  pointer: {
    words: pointerWords,
    sample: (seed, index, { nodes, hops }) => pointerSample(seed, index, { nodes, hops: hops[0] }),
    key: pointerKey,
    check({ nodes, hops: [least, most], maxEdges }) {
      // The question does not say how many hops are meant, so every sample must mean the same.
      if (least !== most)
        throw new UserError(`the pointer task has one number of hops, got ${least}-${most}`);
      if (maxEdges !== null)
        throw new UserError('the pointer task has as many edges as nodes: no limit of edges');
      checkPointerOptions({ nodes, hops: least });
    },
  },
  'prosqa-mini': {
    words: prosqaMiniWords,
    sample: prosqaMiniSample,
    key: questionOf,
    check: checkGraphOptions,
  },
  prosqa: {
    words: prosqaWords,
    sample: prosqaSample,
    key: questionOf,
    check(options) {
      checkGraphOptions(options);
      checkProsqaNodes(options.nodes);
    },
  },
};

/** Graphs with their names are so many that the same one in another order need not be recognised. */
function questionOf(sample: Sample): string {
  return sample.question;
}
