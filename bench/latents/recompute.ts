// What it costs to run blocks again in the backward pass, and what it saves: memory and time of a step of a deep model,
// with thoughts and without. Knows learners and rows; knows no files and no terminal.
import type { Gpu } from '../../src/gpu/gpu.ts';
import { modelFor } from './model.ts';
import { rowsWith, type Size, sizeWith, tokenizerFor } from './rows.ts';
import { stepBytes } from './scaling.ts';
import { type Spread, spreadOf } from './spread.ts';
import { type Rounds, ratios, takeTurns } from './steady.ts';
import { learnerFor, takeStep } from './tax.ts';

export interface Recompute {
  readonly layers: number;
  readonly width: number;
  readonly B: number;
  readonly T: number;
  readonly n: number;
  /** The most bytes alive in a step beyond parameters, gradients and moments. */
  readonly keptBytes: number;
  readonly recomputedBytes: number;
  /** Milliseconds a step. */
  readonly keptMs: Spread;
  readonly recomputedMs: Spread;
  /** Of the times, round by round. */
  readonly ratio: Spread;
}

/** As deep as GPT-2 small, with rows of some sixty columns. */
export const DEEP: Size = { ...sizeWith(6), name: 'deep', layers: 12, width: 192, heads: 6 };
/** Thoughts a row. */
export const COUNTS = [0, 6] as const;

export async function measureRecompute(
  gpu: Gpu,
  batch: number,
  rounds: Rounds,
  size = DEEP,
  counts: readonly number[] = COUNTS,
): Promise<Recompute[]> {
  const figures: Recompute[] = [];
  for (const n of counts) {
    const rows = rowsWith(size, n, batch);
    const T = rows[0]!.tokens.length;
    const model = modelFor(gpu, size, T);
    const { pad } = tokenizerFor(size);
    // One learner at a time is in the middle of a step, but each has gradients and moments of its own.
    const learners = [false, true].map(recompute => learnerFor(model, 'full', pad, recompute));
    const arms = learners.map(learner => ({ step: () => takeStep(learner, rows) }));
    const [keptBytes, recomputedBytes] = arms.map(({ step }) => stepBytes(gpu, step)) as [number, number];
    const [kept, recomputed] = await takeTurns(gpu, arms, 1, rounds);
    for (const learner of learners) learner.free();
    model.parameters.free();
    figures.push({
      layers: size.layers,
      width: size.width,
      B: batch,
      T,
      n,
      keptBytes,
      recomputedBytes,
      keptMs: spreadOf(kept!.ms),
      recomputedMs: spreadOf(recomputed!.ms),
      ratio: ratios(recomputed!.ms, kept!.ms),
    });
  }
  return figures;
}
