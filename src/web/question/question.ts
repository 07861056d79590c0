// A question as a graph: what the page draws and edits, to and from the text that a model reads. Knows the text forms of
// the tasks; knows no model and no DOM.
import type { Sample } from '../../data/sample.ts';
import type { TaskName } from '../../data/tasks.ts';

export interface GraphQuestion {
  readonly task: TaskName;
  /** Names of the nodes. */
  readonly nodes: readonly string[];
  /** [parent, child], as indices of nodes. */
  readonly edges: readonly (readonly [number, number])[];
  readonly root: number;
  /** The two that are asked about; empty for pointers, whose answer is where they end. */
  readonly candidates: readonly number[];
  /** Hops to the answer of a pointer question, which its text does not say. */
  readonly hops: number;
}

/** The graph of a question's text; undefined where the text is none of the forms of `task`. */
export function parseQuestion(text: string, task: TaskName, hops: number): GraphQuestion | undefined {
  return task === 'prosqa' ? parseSentences(text) : parsePairs(text, task, hops);
}

/** The text of a question; nodes without edges do not occur in it. */
export function questionText(question: GraphQuestion): string {
  return question.task === 'prosqa' ? sentences(question) : pairs(question);
}

function parsePairs(text: string, task: 'pointer' | 'prosqa-mini', hops: number): GraphQuestion | undefined {
  const [facts, asked, ...more] = text.split('?').map(part => part.trim().split(/\s+/).filter(Boolean));
  if (!facts || !asked || more.length > 0 || facts.length === 0 || facts.length % 2 !== 0) return undefined;
  if (asked.length !== (task === 'pointer' ? 1 : 3)) return undefined;
  const edges = Array.from(
    { length: facts.length / 2 },
    (_, i) => [facts[2 * i]!, facts[2 * i + 1]!] as const,
  );
  return build(task, edges, asked.at(-1)!, asked.slice(0, -1), hops);
}

function pairs({ nodes, edges, root, candidates }: GraphQuestion): string {
  const name = (node: number): string => nodes[node]!;
  const facts = edges.map(edge => edge.map(name).join(' ')).join(' ');
  return `${facts} ? ${[...candidates, root].map(name).join(' ')}`;
}

const FACT = /(?:Every )?([\w-]+) is an? ([\w-]+)\./gy;
const ASKED = /^Is ([\w-]+) an? ([\w-]+) or (?:an? )?([\w-]+)\?$/;

function parseSentences(text: string): GraphQuestion | undefined {
  const edges: [string, string][] = [];
  let rest = text.trim();
  for (;;) {
    FACT.lastIndex = 0;
    const fact = FACT.exec(rest);
    if (!fact) break;
    edges.push([fact[1]!, fact[2]!]);
    rest = rest.slice(fact[0].length).trimStart();
  }
  const asked = ASKED.exec(rest);
  if (!asked || edges.length === 0) return undefined;
  return build('prosqa', edges, asked[1]!, [asked[2]!, asked[3]!], 0);
}

/** A node that has no parent is a person, and the others are what everybody can be. */
function sentences({ nodes, edges, root, candidates }: GraphQuestion): string {
  const parented = new Set(edges.map(([, child]) => child));
  const facts = edges.map(
    ([parent, child]) => `${parented.has(parent) ? 'Every ' : ''}${nodes[parent]} is a ${nodes[child]}.`,
  );
  const [first, second] = candidates.map(node => nodes[node]!);
  return `${facts.join(' ')} Is ${nodes[root]} a ${first} or ${second}?`;
}

function build(
  task: TaskName,
  edges: readonly (readonly [string, string])[],
  root: string,
  candidates: readonly string[],
  hops: number,
): GraphQuestion {
  const nodes = [...new Set([...edges.flat(), root, ...candidates])];
  // Numerals in their order, so that a graph looks the same however its text was shuffled.
  if (nodes.every(name => /^\d+$/.test(name))) nodes.sort((a, b) => Number(a) - Number(b));
  const index = (name: string): number => nodes.indexOf(name);
  return {
    task,
    nodes,
    edges: edges.map(([parent, child]) => [index(parent), index(child)] as const),
    root: index(root),
    candidates: candidates.map(index),
    hops,
  };
}

export interface Solution {
  /** Nodes from the root to the answer, both included: one shortest path. */
  readonly path: readonly number[];
  /** Whether there is just one right answer. */
  readonly unique: boolean;
}

/** The answer; undefined where there is none. */
export function solve(question: GraphQuestion): Solution | undefined {
  if (question.task === 'pointer') return follow(question);
  const [first, second] = question.candidates.map(candidate => shortestPath(question, candidate));
  const found = [first, second].filter(path => path !== undefined).sort((a, b) => a.length - b.length);
  return found[0] && { path: found[0], unique: found.length === 1 };
}

function follow({ edges, root, hops }: GraphQuestion): Solution | undefined {
  const path = [root];
  for (let hop = 0; hop < hops; hop++) {
    const next = edges.filter(([parent]) => parent === path.at(-1));
    if (next.length !== 1) return undefined;
    path.push(next[0]![1]);
  }
  return { path, unique: true };
}

function shortestPath({ edges, root }: GraphQuestion, target: number): number[] | undefined {
  const before = new Map<number, number>([[root, root]]);
  const queue = [root];
  for (const node of queue)
    for (const [parent, child] of edges)
      if (parent === node && !before.has(child)) {
        before.set(child, node);
        queue.push(child);
      }
  if (!before.has(target) || target === root) return undefined;
  const path = [target];
  while (path[0] !== root) path.unshift(before.get(path[0]!)!);
  return path;
}

/** The question with its answer and steps as the data files have them; where it has none, the first candidate stands in. */
export function sampleOf(question: GraphQuestion, solution: Solution | undefined): Sample {
  const { nodes, root, task } = question;
  const path = solution?.path ?? [root, question.candidates[0] ?? root];
  const name = (node: number): string => nodes[node]!;
  if (task !== 'prosqa')
    return { question: questionText(question), steps: path.slice(1).map(name), answer: name(path.at(-1)!) };
  const sentence = (child: number, hop: number): string =>
    `${hop === 0 ? '' : 'Every '}${name(path[hop]!)} is a ${name(child)}.`;
  return {
    question: questionText(question),
    steps: path.slice(1).map(sentence),
    answer: `${name(root)} is a ${name(path.at(-1)!)}.`,
  };
}

/** The question with an edge more, or without the one that is there. */
export function toggleEdge(question: GraphQuestion, parent: number, child: number): GraphQuestion {
  const others = question.edges.filter(edge => edge[0] !== parent || edge[1] !== child);
  const edges = others.length < question.edges.length ? others : [...others, [parent, child] as const];
  return { ...question, edges };
}

/** The question asked about another node: as its root, or as the `which`-th candidate; two that meet change places. */
export function assign(question: GraphQuestion, node: number, role: 'root' | 0 | 1): GraphQuestion {
  const taken = { root: question.root, candidates: [...question.candidates] };
  const old = role === 'root' ? taken.root : taken.candidates[role]!;
  if (taken.root === node) taken.root = old;
  taken.candidates = taken.candidates.map(candidate => (candidate === node ? old : candidate));
  if (role === 'root') taken.root = node;
  else taken.candidates[role] = node;
  return { ...question, ...taken };
}
