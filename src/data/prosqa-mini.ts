// ProsQA's graph search without its sentences, small enough to be learnt in minutes by a model that follows pointers,
// and hardly learnt from scratch (docs/log.md). Knows the text form; the graphs are graph.ts's.
import { drawQuestion, type GraphOptions } from './graph.ts';
import { randomFor } from './random.ts';
import type { Sample } from './sample.ts';
import { nodeNames } from './symbols.ts';

export const PROSQA_MINI_DEFAULTS: GraphOptions = { nodes: 12, hops: [3, 3], maxEdges: 16 };

export function prosqaMiniWords({ nodes }: Pick<GraphOptions, 'nodes'> = PROSQA_MINI_DEFAULTS): string[] {
  return [...nodeNames(nodes), '?'];
}

/**
 * Sample `index` of the stream `seed`: `parent child parent child … ? candidate candidate root`, edges and
 * candidates in random order, names permuted in every sample. Options that no graph meets are a UserError.
 *
 * A step is the node it arrives at. Its edge begins where the step before ended, so the parent would say nothing
 * new; and the first word of a step is what the first thought learns to say (the output at the start marker): with
 * the parent written out that would be the root, a copy of the question's last word instead of a hop.
 */
export function prosqaMiniSample(seed: number, index: number, options: Partial<GraphOptions> = {}): Sample {
  const settings = { ...PROSQA_MINI_DEFAULTS, ...options };
  const random = randomFor(seed, index);
  const { nodes, edges, root, target, distractor, path } = drawQuestion(random, settings);

  const symbols = random.shuffle(nodeNames(settings.nodes)).slice(0, nodes);
  const pairs = random.shuffle(edges.map(([parent, child]) => `${symbols[parent]} ${symbols[child]}`));
  const candidates = random.shuffle([target, distractor]).map(node => symbols[node]!);
  return {
    question: `${pairs.join(' ')} ? ${candidates.join(' ')} ${symbols[root]}`,
    steps: path.slice(1).map(node => symbols[node]!),
    answer: symbols[target]!,
    graph: { symbols, edges, root, target, distractor },
  };
}
