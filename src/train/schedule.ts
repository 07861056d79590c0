// When stages and arms end. Knows options and counters; knows no model and no data.
import type { Mode } from '../data/curriculum.ts';
import type { TrainOptions } from './option-table.ts';

/** Where an arm stands. */
export interface Position {
  /** Optimizer steps done in this arm. */
  readonly step: number;
  /** Samples trained on in this arm. */
  readonly samples: number;
  readonly stage: number;
  /** Optimizer steps done in this stage. */
  readonly stageStep: number;
}

export const START: Position = { step: 0, samples: 0, stage: 0, stageStep: 0 };

/**
 * The last stage of an arm: that of the most latents, or one more that drops all steps left, where samples have
 * more steps than that. Only `coconut` has stages.
 */
export function lastStage(mode: Mode, options: TrainOptions, mostSteps: number): number {
  if (mode !== 'coconut') return 0;
  const { maxLatentStage, stageSteps } = options;
  if (stageSteps !== 'auto') return stageSteps.length - 1;
  return mostSteps > maxLatentStage ? maxLatentStage + 1 : maxLatentStage;
}

/** Optimizer steps of an arm where they are known beforehand, else null. `samples`: as many as another arm took. */
export function plannedSteps(options: TrainOptions, samples: number | null): number | null {
  const { stageSteps, batch, steps } = options;
  if (samples !== null) return Math.ceil(samples / batch);
  const planned = stageSteps === 'auto' ? null : stageSteps.reduce((sum, count) => sum + count, 0);
  return steps !== null && planned !== null ? Math.min(steps, planned) : (steps ?? planned);
}

/** Validation accuracy at which a stage ends under `--stage-steps auto`; an arm without stages has only a last one. */
export function threshold(stage: number, last: number, options: TrainOptions): number {
  return stage >= last ? options.finalAccuracy : options.stageAccuracy;
}

/** Whether the stage is over after this position's step; `accuracy` is that of a validation just made, or null. */
export function stageEnds(
  position: Position,
  mode: Mode,
  last: number,
  options: TrainOptions,
  accuracy: number | null,
): boolean {
  const { stageSteps, stageMaxSteps } = options;
  if (stageSteps !== 'auto' && mode === 'coconut') return position.stageStep >= stageSteps[position.stage]!;
  if (stageSteps !== 'auto') return false;
  const reached = accuracy !== null && accuracy >= threshold(position.stage, last, options);
  return reached || position.stageStep >= stageMaxSteps;
}

/**
 * Share of an arm that is done, 0 to 1. Exact where its steps are known. Else an estimate: stage 0, ordinary
 * learning of the task, takes about as long as the three stages after it (docs/log.md), and a stage is as far as
 * its accuracy is on the way to its threshold.
 */
export function shareDone(
  position: Position,
  last: number,
  planned: number | null,
  accuracy: number | null,
  options: TrainOptions,
): number {
  if (planned !== null) return Math.min(1, position.step / planned);
  const weight = (stage: number): number => (stage === 0 ? 3 : 1);
  const total = Array.from({ length: last + 1 }, (_, s) => weight(s)).reduce((a, b) => a + b);
  const before = Array.from({ length: position.stage }, (_, s) => weight(s)).reduce((a, b) => a + b, 0);
  const within = Math.min(0.95, Math.max(accuracy ?? 0, 0) / threshold(position.stage, last, options));
  return (before + weight(position.stage) * within) / total;
}
