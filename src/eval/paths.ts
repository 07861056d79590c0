// The six classes of what a model writes about a graph (arXiv 2412.06769, section 5). Knows searches and text; knows
// no model and no tokens.
import { type Search, sentenceEdge } from './search.ts';

/**
 * By the path that was written, whatever the answer after it says:
 * - `correct-path`: one of the shortest paths to the target.
 * - `longer-path`: a path that exists and ends at the target, but not a shortest one.
 * - `hallucination`: edges that do not exist or do not join, or text that is no path.
 * - `wrong-target`: a path that exists and ends elsewhere.
 *
 * Where steps were replaced by thoughts only the rest of a path is written. It counts as the end of the path that a
 * shortest way from the root to its first node completes; where there is no such way, it is a hallucination.
 *
 * By the answer, where no step was written: `correct-label` and `incorrect-label`.
 */
export const PATH_CLASSES = [
  'correct-path',
  'longer-path',
  'hallucination',
  'wrong-target',
  'correct-label',
  'incorrect-label',
] as const;
export type PathClass = (typeof PATH_CLASSES)[number];

/** How many samples fell into each class. */
export type ClassCounts = Readonly<Record<PathClass, number>>;

export interface Written {
  /** All that was written, the answer included. */
  readonly text: string;
  /** Whether the whole path was to be written, from the root on; else thoughts may stand for its beginning. */
  readonly whole: boolean;
  /** Whether the answer is right. */
  readonly correct: boolean;
}

/** What stands between reasoning and answer. */
const MARKER = '###';

export function pathClass(search: Search, { text, whole, correct }: Written): PathClass {
  const marker = text.lastIndexOf(MARKER);
  const reasoning = (marker < 0 ? text : text.slice(0, marker)).trim();
  if (reasoning === '') return correct ? 'correct-label' : 'incorrect-label';
  const path =
    search.form === 'sentences' ? sentencePath(search, reasoning) : wordPath(search, reasoning, whole);
  if (!path || !exists(search, path)) return 'hallucination';
  const before = search.fromRoot[path[0]!]!;
  if (whole ? before > 0 : before === Number.POSITIVE_INFINITY) return 'hallucination';
  if (path.at(-1) !== search.target) return 'wrong-target';
  return before + path.length - 1 === search.fromRoot[search.target] ? 'correct-path' : 'longer-path';
}

export function countClasses(classes: readonly PathClass[]): ClassCounts {
  const counts = Object.fromEntries(PATH_CLASSES.map(name => [name, 0])) as Record<PathClass, number>;
  for (const name of classes) counts[name]++;
  return counts;
}

/** Nodes of a path in sentences, each of which begins where the one before ended. */
function sentencePath({ names }: Search, reasoning: string): number[] | undefined {
  const sentences = reasoning.split('.').filter(sentence => sentence.trim() !== '');
  const edges = sentences.map(sentenceEdge);
  if (edges.length === 0 || edges.includes(undefined)) return undefined;
  const [first, ...rest] = edges as (readonly [string, string])[];
  if (rest.some(([parent], i) => parent !== (rest[i - 1] ?? first!)[1])) return undefined;
  return nodesOf(names, [...first!, ...rest.map(([, child]) => child)]);
}

/** Nodes of a path in words, each the node that a step arrives at; a whole one begins with a step from the root. */
function wordPath({ names, root }: Search, reasoning: string, whole: boolean): number[] | undefined {
  const path = nodesOf(names, reasoning.split(/\s+/));
  return path && whole ? [root, ...path] : path;
}

function nodesOf(names: readonly string[], path: readonly string[]): number[] | undefined {
  const nodes = path.map(name => names.indexOf(name));
  return nodes.includes(-1) ? undefined : nodes;
}

function exists({ edges }: Search, path: readonly number[]): boolean {
  return path
    .slice(1)
    .every((child, i) => edges.some(([parent, other]) => parent === path[i] && other === child));
}
