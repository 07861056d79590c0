// ProsQA (arXiv 2412.06769): who is what in a graph of concepts, in sentences. Knows the vocabulary and the sentence
// forms; the graphs are graph.ts's.
import { UserError } from '../errors.ts';
import { drawQuestion, type GraphOptions } from './graph.ts';
import { randomFor } from './random.ts';
import type { Sample } from './sample.ts';

/** The 17 names of the published files: what a node without parents is called. */
export const NAMES =
  'Alex Bob Carol Davis Eva Fae Gabriel Jack Max Oliver Polly Rex Sally Sam Stella Tom Wren'.split(' ');

/** Their 38 concepts: what every other node is called. */
export const CONCEPTS = (
  'bompus boompus brimpus chorpus dumpus felpus fompus gerpus gorpus grimpus gwompus hilpus impus jelpus jompus ' +
  'kerpus lempus lorpus numpus quimpus rempus rompus rorpus scrompus shumpus sterpus storpus terpus timpus tumpus ' +
  'vumpus worpus wumpus yerpus yimpus yumpus zhorpus zumpus'
).split(' ');

/** Nodes to grow; with fewer or more the statistics leave those of the published files (graph.ts). */
export const PROSQA_DEFAULTS: GraphOptions = { nodes: 28, hops: [3, 6], maxEdges: null };

/** All 62 words of the published files. */
export function prosqaWords(): string[] {
  return ['Every', 'is', 'a', 'Is', 'or', '.', '?', ...NAMES, ...CONCEPTS];
}

/** Sample `index` of the stream `seed`. Options that no graph meets are a UserError. */
export function prosqaSample(seed: number, index: number, options: Partial<GraphOptions> = {}): Sample {
  const settings = { ...PROSQA_DEFAULTS, ...options };
  checkProsqaNodes(settings.nodes);
  const random = randomFor(seed, index);
  const question = drawQuestion(random, settings, drawn => count(drawn.parentless) <= NAMES.length);
  const { edges, parentless, root, target, distractor, path } = question;

  const names = random.shuffle([...NAMES]);
  const concepts = random.shuffle([...CONCEPTS]);
  const symbols = parentless.map(isRoot => (isRoot ? names.pop()! : concepts.pop()!));

  // The published sentences always have "a", "a impus" too.
  const sentence = ([parent, child]: readonly [number, number]): string =>
    `${parentless[parent] ? '' : 'Every '}${symbols[parent]} is a ${symbols[child]}.`;
  const candidates = random.shuffle([target, distractor]).map(node => symbols[node]!);
  const facts = random.shuffle(edges.map(sentence));
  return {
    question: `${facts.join(' ')} Is ${symbols[root]} a ${candidates[0]} or ${candidates[1]}?`,
    steps: path.slice(1).map((node, hop) => sentence([path[hop]!, node])),
    answer: `${symbols[root]} is a ${symbols[target]}.`,
    graph: { symbols, edges, root, target, distractor },
  };
}

/** More nodes than there are words for are a UserError. */
export function checkProsqaNodes(nodes: number): void {
  // The two roots have names, so at most nodes - 2 concepts are needed.
  const most = CONCEPTS.length + 2;
  if (nodes > most) {
    throw new UserError(
      `${nodes} nodes need more than the ${CONCEPTS.length} concepts of ProsQA: at most ${most}`,
    );
  }
}

function count(flags: readonly boolean[]): number {
  return flags.filter(Boolean).length;
}
