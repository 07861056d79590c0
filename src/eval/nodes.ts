// What a model's thoughts are worth as a search: the value that each gives to every node, and how much of it lies where
// a breadth-first search would be. Knows speeches and searches; knows no controls.
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpt } from '../model/gpt.ts';
import { frontierNodes, optimalNodes, type Search } from './search.ts';
import { nameValues, type Speech, type SpeechOptions } from './speech.ts';

/** Of one sample after some thoughts. */
export interface NodeValues {
  readonly search: Search;
  readonly thoughts: number;
  readonly asks: Speech['asks'];
  /** Hops from the root to the nodes that are searched now. */
  readonly depth: number;
  /** By node: the probability of its name as the next concept. */
  readonly values: Float64Array;
}

/** Means over samples. The masses are probabilities: parts of 1, of which the rest lies on words that are no nodes. */
export interface NodeShares {
  readonly thoughts: number;
  /** Whether the model was made to say the next step, or, where none is left, the answer. */
  readonly asks: Speech['asks'];
  readonly samples: number;
  /** Hops from the root to the frontier. */
  readonly depth: number;
  /** On all nodes. */
  readonly nodes: number;
  /** On nodes that the root reaches, itself left out. */
  readonly reachable: number;
  /** On nodes exactly `depth` hops from the root: where a breadth-first search stands. */
  readonly frontier: number;
  /** On nodes of the frontier that lie on a shortest path to the target. */
  readonly optimal: number;
  /** On the one, two and three most valued nodes of the frontier: high from the first on where the search is narrow. */
  readonly top: readonly [number, number, number];
  /** What the shares would be were all nodes worth the same. */
  readonly chance: { readonly reachable: number; readonly frontier: number; readonly optimal: number };
}

/** A sample that is a search, and what the model says of it. */
export interface Spoken {
  readonly sample: Sample;
  readonly search: Search;
  readonly speech: Speech;
  /** Log-probabilities [V] of the next token. */
  readonly next: Float64Array;
}

export async function nodeValues(
  model: Gpt,
  tokenizer: Tokenizer,
  spoken: readonly Spoken[],
  options: SpeechOptions,
): Promise<NodeValues[]> {
  const values = await nameValues(
    model,
    tokenizer,
    spoken.map(({ speech }) => speech),
    spoken.map(({ next }) => next),
    spoken.map(({ search }) => search.names),
    options,
  );
  return spoken.map(({ search, speech }, i) => ({
    search,
    thoughts: speech.prompt.latents,
    asks: speech.asks,
    depth: speech.asks === 'step' ? speech.depth : search.fromRoot[search.target]!,
    values: values[i]!,
  }));
}

/** Means, apart for each number of thoughts and for steps and answers. */
export function nodeShares(all: readonly NodeValues[]): NodeShares[] {
  const groups = Map.groupBy(all, ({ thoughts, asks }) => `${thoughts} ${asks}`);
  return [...groups.values()]
    .map(meanShares)
    .sort((a, b) => a.thoughts - b.thoughts || b.asks.localeCompare(a.asks));
}

function meanShares(group: readonly NodeValues[]): NodeShares {
  const mean = (of: (values: NodeValues) => number): number =>
    group.reduce((sum, values) => sum + of(values), 0) / group.length;
  const mass = (nodesOf: (values: NodeValues) => readonly number[]): number =>
    mean(one => nodesOf(one).reduce((sum, node) => sum + one.values[node]!, 0));
  const part = (nodesOf: (values: NodeValues) => readonly number[]): number =>
    mean(one => nodesOf(one).length / one.search.names.length);
  const everywhere = ({ search }: NodeValues): number[] => [...search.names.keys()];
  const reachable = ({ search: { fromRoot } }: NodeValues): number[] =>
    [...fromRoot.keys()].filter(node => fromRoot[node]! > 0 && fromRoot[node]! < Number.POSITIVE_INFINITY);
  const frontier = ({ search, depth }: NodeValues): number[] => frontierNodes(search, depth);
  const optimal = ({ search, depth }: NodeValues): number[] => optimalNodes(search, depth);
  const best =
    (count: number) =>
    (one: NodeValues): number[] =>
      frontier(one)
        .sort((a, b) => one.values[b]! - one.values[a]!)
        .slice(0, count);
  const [{ thoughts, asks }] = group as [NodeValues];
  return {
    ...{ thoughts, asks, samples: group.length, depth: mean(({ depth }) => depth) },
    nodes: mass(everywhere),
    reachable: mass(reachable),
    frontier: mass(frontier),
    optimal: mass(optimal),
    top: [mass(best(1)), mass(best(2)), mass(best(3))],
    chance: { reachable: part(reachable), frontier: part(frontier), optimal: part(optimal) },
  };
}
