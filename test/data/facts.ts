// The structural facts of ProsQA as checks on one sample, for generated and published samples alike. Written anew from
// the description, with nothing of the generator's but its word lists.
import { CONCEPTS, NAMES } from '../../src/data/prosqa.ts';
import type { Sample } from '../../src/data/sample.ts';

/** Every fact that the sample breaks, in words; empty where all hold. */
export function brokenFacts(sample: Sample): string[] {
  const broken: string[] = [];
  const check = (holds: boolean, fact: string): void => {
    if (!holds) broken.push(fact);
  };
  const { question, steps, answer, graph } = sample;
  if (!graph) return ['has a graph'];
  const { symbols, edges, root, target, distractor } = graph;
  const nodes = symbols.map((_, node) => node);
  const children = (node: number): number[] => edges.filter(([p]) => p === node).map(([, c]) => c);
  const hasParent = (node: number): boolean => edges.some(([, child]) => child === node);
  const sentence = (parent: number, child: number): string =>
    `${hasParent(parent) ? 'Every ' : ''}${symbols[parent]} is a ${symbols[child]}.`;

  const reach = [0, 1].map(from => distances(from, children));
  const ownLeaves = [0, 1].map(from =>
    nodes.filter(n => reach[from]!.has(n) && !reach[1 - from]!.has(n) && children(n).length === 0),
  );
  const depth = (node: number): number => reach[root]?.get(node) ?? Number.NaN;

  check(root === 0 || root === 1, 'the root is node 0 or 1');
  check(!hasParent(0) && !hasParent(1), 'nodes 0 and 1 have no parents');
  check(ownLeaves[root]!.includes(target), 'the target is a leaf that only the root reaches');
  check(depth(target) === Math.max(...ownLeaves[root]!.map(depth)), 'the target is a deepest such leaf');
  check(
    ownLeaves[1 - root]!.includes(distractor),
    'the distractor is a leaf that only the other root reaches',
  );
  const other = Math.max(...ownLeaves[1 - root]!.map(leaf => reach[1 - root]!.get(leaf)!));
  check(depth(target) >= other, 'the root asked about has the deeper leaf');
  check(
    edges.every(([parent, child]) => parent < child),
    'parents come before children',
  );
  check(new Set(edges.map(String)).size === edges.length, 'no edge twice');
  check(
    nodes.every(n => hasParent(n) || children(n).length > 0),
    'no node is isolated',
  );

  check(
    nodes.every(n => NAMES.includes(symbols[n]!) === !hasParent(n)),
    'a name exactly without parents',
  );
  check(
    symbols.every(word => NAMES.includes(word) || CONCEPTS.includes(word)),
    'names and concepts are known',
  );
  check(new Set(symbols).size === symbols.length, 'no name twice');

  const [first, ...rest] = steps;
  const path = [root];
  for (const step of steps) {
    path.push(children(path.at(-1)!).find(child => sentence(path.at(-1)!, child) === step) ?? Number.NaN);
  }
  check(first !== undefined && path.at(-1) === target, 'the steps lead along edges from root to target');
  check(rest.length + 1 === depth(target), 'the steps are a shortest path');
  check(answer === `${symbols[root]} is a ${symbols[target]}.`, 'the answer names the target');

  const facts = question.split(/(?<=\.) /);
  const asked = facts.pop();
  const ends = [symbols[target], symbols[distractor]];
  check(
    facts.toSorted().join(' ') ===
      edges
        .map(([p, c]) => sentence(p, c))
        .toSorted()
        .join(' '),
    'one sentence an edge',
  );
  check(
    asked === `Is ${symbols[root]} a ${ends[0]} or ${ends[1]}?` ||
      asked === `Is ${symbols[root]} a ${ends[1]} or ${ends[0]}?`,
    'the question names root and both candidates',
  );
  return broken;
}

/** Edges on a shortest path to every node that `from` reaches. */
function distances(from: number, children: (node: number) => number[]): Map<number, number> {
  const found = new Map([[from, 0]]);
  for (const [node, distance] of found) {
    for (const child of children(node)) if (!found.has(child)) found.set(child, distance + 1);
  }
  return found;
}
