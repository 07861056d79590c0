// A sample's question as a search: a graph, where it begins, where it ends, and how far every node is from both.
// Knows the text forms of the tasks; knows no model.
import type { Sample } from '../data/sample.ts';

/**
 * How steps and answers are written: `words`, where a step is the node that it arrives at, or `sentences`, where it is
 * an edge (`Every parent is a child.`).
 */
export type Form = 'words' | 'sentences';

export interface Search {
  readonly form: Form;
  /** Names of the nodes. */
  readonly names: readonly string[];
  /** [parent, child], as indices of nodes. */
  readonly edges: readonly (readonly [number, number])[];
  readonly root: number;
  readonly target: number;
  /** The wrong candidate; undefined where none is named. */
  readonly distractor: number | undefined;
  /** By node: edges from the root to it on a shortest path, Infinity where there is none. */
  readonly fromRoot: readonly number[];
  /** By node: edges from it to the target, likewise. */
  readonly toTarget: readonly number[];
}

/**
 * The search that a sample asks for: of its graph, or of a question in pairs (`a b c d … ? root`, with or without
 * candidates before the root). Undefined for any other sample, and where root and target are not two nodes.
 */
export function searchOf(sample: Sample): Search | undefined {
  const form = formOf(sample);
  const asked: Pairs | undefined = sample.graph ?? fromPairs(sample);
  if (!asked) return undefined;
  const { symbols: names, edges, root, target } = asked;
  if (target === root || target < 0 || root < 0) return undefined;
  const backwards = edges.map(([parent, child]) => [child, parent] as const);
  return {
    ...{ form, names, edges, root, target },
    distractor: asked.distractor,
    fromRoot: distances(names.length, edges, root),
    toTarget: distances(names.length, backwards, target),
  };
}

export function formOf({ answer }: Sample): Form {
  return sentenceEdge(answer) ? 'sentences' : 'words';
}

/** Nodes on a shortest path from the root to the target, `depth` hops from the root. */
export function optimalNodes({ fromRoot, toTarget, target }: Search, depth: number): number[] {
  return [...fromRoot.keys()].filter(
    node => fromRoot[node] === depth && depth + toTarget[node]! === fromRoot[target],
  );
}

/** Nodes exactly `depth` hops from the root. */
export function frontierNodes({ fromRoot }: Search, depth: number): number[] {
  return [...fromRoot.keys()].filter(node => fromRoot[node] === depth);
}

/** `Every parent is a child`, `Tom is a child`, with or without its full stop. */
const SENTENCE = /^(?:Every )?(.+?) is an? (.+?)\.?$/;

/** The edge that a sentence says, by names; undefined where it says none. */
export function sentenceEdge(sentence: string): readonly [parent: string, child: string] | undefined {
  const match = SENTENCE.exec(sentence.trim());
  return match ? [match[1]!, match[2]!] : undefined;
}

/** What a SampleGraph has, as far as pairs tell it. */
interface Pairs {
  readonly symbols: readonly string[];
  readonly edges: readonly (readonly [number, number])[];
  readonly root: number;
  readonly target: number;
  readonly distractor?: number;
}

function fromPairs({ question, answer }: Sample): Pairs | undefined {
  const [facts, asked, ...more] = question.split('?').map(part => part.trim().split(/\s+/).filter(Boolean));
  if (!facts || !asked || more.length > 0) return undefined;
  if (facts.length === 0 || facts.length % 2 !== 0 || ![1, 3].includes(asked.length)) return undefined;
  const symbols = [...new Set(facts)];
  const index = (name: string): number => symbols.indexOf(name);
  const edges = Array.from(
    { length: facts.length / 2 },
    (_, i) => [index(facts[2 * i]!), index(facts[2 * i + 1]!)] as const,
  );
  return { symbols, edges, root: index(asked.at(-1)!), target: index(answer) };
}

/** Breadth first. */
function distances(nodes: number, edges: Search['edges'], from: number): number[] {
  const distance = Array<number>(nodes).fill(Number.POSITIVE_INFINITY);
  distance[from] = 0;
  const queue = [from];
  for (const node of queue)
    for (const [parent, child] of edges)
      if (parent === node && distance[child] === Number.POSITIVE_INFINITY) {
        distance[child] = distance[node]! + 1;
        queue.push(child);
      }
  return distance;
}
