// New questions for a model: which tasks its vocabulary has words for, and random questions of them. Knows tasks and
// vocabularies; knows no DOM.
import type { Sample } from '../../data/sample.ts';
import { TASKS, type TaskName, type TaskOptions } from '../../data/tasks.ts';
import { type GraphQuestion, parseQuestion } from './question.ts';

export interface Sizes {
  readonly task: TaskName;
  readonly nodes: number;
  readonly hops: number;
}

/** What each task may be asked in: bounds of the page's fields, and where they start. */
export const SIZES: Readonly<
  Record<TaskName, { nodes: [number, number, number]; hops: [number, number, number] }>
> = {
  'prosqa-mini': { nodes: [8, 12, 12], hops: [2, 5, 3] },
  pointer: { nodes: [4, 8, 8], hops: [1, 6, 3] },
  prosqa: { nodes: [16, 28, 28], hops: [3, 6, 4] },
};

/** Stream of the page's random questions: none that training draws from. */
const SEED = 2 ** 31 - 1;

function optionsOf({ task, nodes, hops }: Sizes): TaskOptions {
  return { nodes, hops: [hops, hops], maxEdges: task === 'prosqa-mini' ? 16 : null };
}

/** The tasks whose words a model knows, the likeliest to be its own first. */
export function tasksFor(words: readonly string[]): TaskName[] {
  const known = new Set(words);
  return (['prosqa-mini', 'pointer', 'prosqa'] as const).filter(task => {
    const { nodes, hops } = SIZES[task];
    const needed = TASKS[task].words(optionsOf({ task, nodes: nodes[0], hops: hops[2] }));
    return needed.every(word => known.has(word));
  });
}

/** Question `index` of the page's stream. Throws UserError on sizes that no graph has. */
export function drawSample(sizes: Sizes, index: number): Sample {
  return TASKS[sizes.task].sample(SEED, index, optionsOf(sizes));
}

export function drawGraph(sizes: Sizes, index: number): GraphQuestion {
  const graph = parseQuestion(drawSample(sizes, index).question, sizes.task, sizes.hops);
  if (!graph) throw new Error(`question ${index} of ${sizes.task} has a form that the page does not read`);
  return graph;
}
