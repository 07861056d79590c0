// Times arms of a comparison against each other in steady state: work is recorded while the device is still busy with
// what was recorded before, as a training run does, and arms take turns. Knows a device and functions; knows no model.
import type { Gpu } from '../../src/gpu/gpu.ts';
import { type Spread, spreadOf } from './spread.ts';

export interface Arm {
  /** Records and submits one step; waits for nothing. */
  step(): void;
}

/** Milliseconds a step. */
export interface ArmTimes {
  /** By the wall clock, a value a round. */
  readonly ms: readonly number[];
  /** Spent in JavaScript on recording, while the device works on earlier steps; a value a round. */
  readonly recordingMs: readonly number[];
}

/** How long a comparison goes on: so many rounds at least, and further ones while its time lasts. */
export interface Rounds {
  readonly least: number;
  readonly most: number;
  /** For all rounds together. */
  readonly seconds: number;
}

/** Steps that may be recorded and not yet done, so that the device has work and the queue no backlog. */
const IN_FLIGHT = 2;
/** Steps of an arm before those that are timed: they fill the queue. */
const LEAD = 1;

/** Times `steps` steps of every arm in each round. What an arm's turn begins with is not timed. */
export async function takeTurns(
  gpu: Gpu,
  arms: readonly Arm[],
  steps: number,
  rounds: Rounds,
): Promise<ArmTimes[]> {
  const times = arms.map(() => ({ ms: [] as number[], recordingMs: [] as number[] }));
  for (const arm of arms) {
    // Compiles, and fills the pool.
    arm.step();
    await gpu.finish();
  }
  await inTurns(arms.length, rounds, async i => {
    const { ms, recordingMs } = await burst(gpu, arms[i]!, steps);
    times[i]!.ms.push(ms);
    times[i]!.recordingMs.push(recordingMs);
  });
  return times;
}

/**
 * Calls `turn(0)` to `turn(count - 1)` in every round, in the given order and its reverse by turns, so that a machine
 * which slows down or speeds up does so for all.
 */
export async function inTurns(
  count: number,
  { least, most, seconds }: Rounds,
  turn: (index: number) => Promise<void>,
): Promise<void> {
  const order = Array.from({ length: count }, (_, i) => i);
  const begun = performance.now();
  const late = (): boolean => performance.now() - begun > 1000 * seconds;
  for (let round = 0; round < most && (round < least || !late()); round++) {
    for (const i of order) await turn(i);
    order.reverse();
  }
}

async function burst(gpu: Gpu, arm: Arm, steps: number): Promise<{ ms: number; recordingMs: number }> {
  const { queue } = gpu.device;
  const ends: number[] = [];
  const pending: Promise<void>[] = [];
  let recordingMs = 0;
  for (let i = 0; i < LEAD + steps; i++) {
    const begun = performance.now();
    arm.step();
    if (i >= LEAD) recordingMs += performance.now() - begun;
    pending.push(
      queue.onSubmittedWorkDone().then(() => {
        ends[i] = performance.now();
      }),
    );
    if (pending.length > IN_FLIGHT) await pending.shift();
  }
  await Promise.all(pending);
  await gpu.finish();
  return { ms: (ends.at(-1)! - ends[LEAD - 1]!) / steps, recordingMs: recordingMs / steps };
}

/** a over b, round by round: what disturbed a round disturbed both. */
export function ratios(a: readonly number[], b: readonly number[]): Spread {
  return spreadOf(a.map((value, round) => value / b[round]!));
}
