// The floor that an adapter's ceilings set under a call's time, and which ceiling sets it. Knows rates and amounts;
// knows no device and no op.
import { CACHED_BYTES, type Ceilings } from '../src/train/ceiling.ts';
import type { Work } from '../test/cases/case.ts';

export type Bound = 'fma' | 'stream' | 'cached' | 'dispatch';

export interface Floor {
  readonly bound: Bound;
  readonly ms: number;
}

/**
 * The longest of the times that each ceiling asks for: `fma` for the operations; for the bytes `stream`, or `cached`
 * where all of them together fit in CACHED_BYTES, so that repeated calls find them in a cache; `dispatch` for the
 * number of dispatches. Bytes are those that any kernel must move once: how often a kernel loads them is its own
 * affair, so where it loads them many times this floor is lower than what its loads would ask for.
 */
export function floorOf(work: Work, dispatches: number, ceilings: Ceilings): Floor {
  const memory = work.bytes <= CACHED_BYTES ? 'cached' : 'stream';
  const floors: readonly Floor[] = [
    { bound: 'fma', ms: (1000 * work.flops) / ceilings.fma },
    { bound: memory, ms: (1000 * work.bytes) / ceilings[memory] },
    { bound: 'dispatch', ms: 1000 * dispatches * ceilings.dispatch },
  ];
  return floors.reduce((longest, floor) => (floor.ms > longest.ms ? floor : longest));
}
