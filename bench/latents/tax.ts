// The latent tax: a training step with thoughts against one of the same row length without. Knows learners and rows;
// knows no files and no terminal.
import type { Row } from '../../src/data/batch.ts';
import { UNLABELLED } from '../../src/data/batch.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { Window } from '../../src/model/latent.ts';
import { Learner } from '../../src/train/step.ts';
import { modelFor } from './model.ts';
import { pairedRows, type Size } from './rows.ts';
import { type Spread, spreadOf } from './spread.ts';
import { type ArmTimes, type Rounds, ratios, takeTurns } from './steady.ts';

/** A step of one kind of rows. */
export interface StepFigures {
  /** Milliseconds by the wall clock, steps back to back. */
  readonly ms: Spread;
  /** Milliseconds of them, or beside them, in which JavaScript recorded. */
  readonly recordingMs: Spread;
  readonly dispatches: number;
  /** Operations of matrix products. */
  readonly flops: number;
  /** Labelled columns of the batch. */
  readonly labels: number;
}

export interface Tax {
  readonly size: string;
  readonly B: number;
  readonly T: number;
  readonly question: number;
  readonly n: number;
  readonly latents: StepFigures;
  readonly written: StepFigures;
  readonly ratio: Spread;
}

/** Small enough that no step changes much: what is timed is the same at every step. */
const RATE = 1e-5;

/** With a thought for each hop of the size's questions, or with none where `n` is 0. */
export async function measureTax(
  gpu: Gpu,
  size: Size,
  batch: number,
  rounds: Rounds,
  steps = 3,
  n?: number,
): Promise<Tax> {
  const rows = pairedRows(size, batch, n);
  const T = rows.latents[0]!.tokens.length;
  const differing = [...rows.latents, ...rows.written].find(({ tokens }) => tokens.length !== T);
  if (differing)
    throw new Error(`rows of ${differing.tokens.length} and ${T} columns are no fair comparison`);
  const model = modelFor(gpu, size, T);
  const learner = learnerFor(model, 'full', rows.tokenizer.pad);
  const arms = [rows.latents, rows.written].map(of => ({ step: () => takeStep(learner, of) }));
  const counts = arms.map(({ step }) => countsOf(gpu, step));
  const [latents, written] = (await takeTurns(gpu, arms, steps, rounds)) as [ArmTimes, ArmTimes];
  learner.free();
  model.parameters.free();
  const figures = (times: ArmTimes, of: readonly Row[], counted: Counts): StepFigures => ({
    ms: spreadOf(times.ms),
    recordingMs: spreadOf(times.recordingMs),
    ...counted,
    labels: of.reduce((sum, { labels }) => sum + labels.filter(label => label !== UNLABELLED).length, 0),
  });
  return {
    size: size.name,
    B: batch,
    T,
    question: size.question,
    n: rows.latents[0]!.latents,
    latents: figures(latents, rows.latents, counts[0]!),
    written: figures(written, rows.written, counts[1]!),
    ratio: ratios(latents.ms, written.ms),
  };
}

export function learnerFor(
  model: Learner['model'],
  window: Window,
  padId: number,
  recompute = false,
): Learner {
  return new Learner(model, {
    window,
    recompute,
    microBatch: 'all',
    padId,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weightDecay: 0.01,
    clip: 1,
  });
}

/** Records and submits a step as the training loop does where it reads no loss. */
export function takeStep(learner: Learner, rows: readonly Row[]): void {
  const { losses, clip } = learner.step(rows, RATE);
  for (const tensor of [...losses, clip]) tensor.free();
}

export interface Counts {
  readonly dispatches: number;
  readonly flops: number;
}

export function countsOf(gpu: Gpu, step: () => void): Counts {
  const before = { ...gpu.counts };
  step();
  return {
    dispatches: gpu.counts.dispatches - before.dispatches,
    flops: gpu.counts.flops - before.flops,
  };
}
