// Where samples come from: sample i of a training run as a pure function of i, so that a resumed run needs nothing
// but its counter. Knows generated tasks and lists alike; knows no tokens.
import { UserError } from '../errors.ts';
import { derivedSeed, hashOf, randomFor } from './random.ts';
import type { Sample } from './sample.ts';
import { TASKS, type TaskName, type TaskOptions } from './tasks.ts';

export interface SampleSource {
  /** Different samples; null where there is no end to them. */
  readonly size: number | null;
  /** Any index from 0: a list is gone through again and again. */
  at(index: number): Sample;
}

export type Split = 'train' | 'valid' | 'test';

const PURPOSE: Readonly<Record<Split, number>> = { train: 1, valid: 2, test: 3 };

// An eighth of all questions can only be asked in validation, another eighth only in the final test.
const SHARES = 8;
const SPLIT_OF_SHARE: readonly Split[] = ['test', 'valid'];
// More draws than this for one sample mean that the task has no question for the split.
const DRAWS = 1000;

/**
 * Endless samples of a generated task. Each split has a stream of its own, and a question belongs to exactly one
 * split, by a hash of its key: independent streams alone would not keep test questions unseen where there are few
 * (40,320 pointer questions with 8 nodes, and training sees tens of thousands). Samples that do not `fit` are drawn
 * again.
 */
export function generatedSource(
  name: TaskName,
  options: TaskOptions,
  seed: number,
  split: Split,
  fits: (sample: Sample) => boolean = () => true,
): SampleSource {
  const task = TASKS[name];
  task.check(options);
  const stream = derivedSeed(seed, PURPOSE[split]);
  return {
    size: null,
    at(index) {
      for (let draw = 0; draw < DRAWS; draw++) {
        // Redraws of index i lie beyond every index that a run reaches, so that samples stay independent.
        const sample = task.sample(stream, index + draw * 2 ** 32, options);
        if (splitOf(task.key(sample)) === split && fits(sample)) return sample;
      }
      throw new UserError(
        `the task ${name} with ${options.nodes} nodes has too few questions to keep some for ${split}: raise the nodes`,
      );
    },
  };
}

function splitOf(key: string): Split {
  return SPLIT_OF_SHARE[hashOf(key) % SHARES] ?? 'train';
}

/** A list in its own order: for measuring, where every run must see the same samples. */
export function listSource(samples: readonly Sample[]): SampleSource {
  return { size: samples.length, at: index => samples[index % samples.length]! };
}

/** A list for training, in a new order each epoch: a permutation that (seed, epoch) decides. */
export function shuffledSource(samples: readonly Sample[], seed: number): SampleSource {
  const order = shuffledOrder(samples.length, seed);
  return { size: samples.length, at: index => samples[order(index)]! };
}

/** The same for items that are numbered from 0 to `size` - 1: of any index, the item that is learnt there. */
export function shuffledOrder(size: number, seed: number): (index: number) => number {
  // Kept for speed only: the order is a function of the epoch.
  let kept = { epoch: -1, order: [] as number[] };
  return index => {
    const epoch = Math.floor(index / size);
    if (kept.epoch !== epoch) {
      const items = Array.from({ length: size }, (_, item) => item);
      kept = { epoch, order: randomFor(derivedSeed(seed, PURPOSE.train), epoch).shuffle(items) };
    }
    return kept.order[index % size]!;
  };
}

/** Splits a list into training and held-out samples: `count` of it, drawn by the seed; order is kept in both. */
export function holdOut(
  samples: readonly Sample[],
  count: number,
  seed: number,
): { train: Sample[]; valid: Sample[] } {
  const order = randomFor(derivedSeed(seed, PURPOSE.valid)).shuffle([...samples.keys()]);
  const held = new Set(order.slice(0, count));
  return {
    train: samples.filter((_, index) => !held.has(index)),
    valid: samples.filter((_, index) => held.has(index)),
  };
}
