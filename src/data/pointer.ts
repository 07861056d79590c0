// Pointer chasing: the smallest task that needs k dependent look-ups, which separates thinking from guessing. Knows
// its text form only.
import { UserError } from '../errors.ts';
import { randomFor } from './random.ts';
import type { Sample } from './sample.ts';
import { nodeNames } from './symbols.ts';

export interface PointerOptions {
  readonly nodes: number;
  /** k, how often the pointer is followed. Less than `nodes`, so that no node is visited twice. */
  readonly hops: number;
}

export const POINTER_DEFAULTS: PointerOptions = { nodes: 8, hops: 3 };

export function pointerWords({ nodes }: Pick<PointerOptions, 'nodes'> = POINTER_DEFAULTS): string[] {
  return [...nodeNames(nodes), '?'];
}

/**
 * Sample `index` of the stream `seed`: f is a random single cycle over the nodes, given as shuffled pairs
 * `a f(a)`, then `? start`. The steps are f(start), f²(start), … and the answer is the last of them: guessing a
 * node is right once in n - 1 times at best. Impossible options are a UserError.
 */
export function pointerSample(seed: number, index: number, options: Partial<PointerOptions> = {}): Sample {
  const { nodes, hops } = { ...POINTER_DEFAULTS, ...options };
  checkPointerOptions({ nodes, hops });
  const random = randomFor(seed, index);
  // Node cycle[i] points to cycle[i + 1]; where the list starts says nothing, so the start can be its first.
  const cycle = random.shuffle(nodeNames(nodes));
  const pairs = random.shuffle(cycle.map((node, at) => `${node} ${cycle[(at + 1) % nodes]}`));
  const steps = cycle.slice(1, hops + 1);
  return { question: `${pairs.join(' ')} ? ${cycle[0]}`, steps, answer: steps[hops - 1]! };
}

/** The question whatever the order of its pairs: with 8 nodes there are only 7! · 8 = 40,320 of them. */
export function pointerKey({ question }: Sample): string {
  const [pairs = '', start = ''] = question.split(' ? ');
  return `${pairs
    .match(/\S+ \S+/g)
    ?.sort()
    .join(' ')} ? ${start}`;
}

export function checkPointerOptions({ nodes, hops }: PointerOptions): void {
  if (!Number.isInteger(hops) || hops < 1) {
    throw new UserError(`${hops} hops: expected a whole number of at least 1`);
  }
  if (!Number.isInteger(nodes) || nodes <= hops) {
    throw new UserError(`${hops} hops need at least ${hops + 1} nodes, got ${nodes}`);
  }
}
