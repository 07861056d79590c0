// When stages and arms end. Knows options and counters; knows no model and no data.
import { FORMS } from '../data/curriculum.ts';
import type { Arm } from './arm.ts';
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

/** The most reasoning that a sample of the data has. */
export interface MostReasoning {
  readonly steps: number;
  readonly tokens: number;
}

/**
 * The last stage of an arm. Where each stage drops a step: that of the most latents, or one more that drops all steps
 * left, where samples have more of them. Where each drops some tokens: the first without any. Other modes, and a text,
 * have one stage, number 0.
 */
export function lastStage(arm: Arm, options: TrainOptions, most: MostReasoning): number {
  const { maxLatentStage, stageSteps, icotTokens } = options;
  if (arm === 'lm') return 0;
  switch (FORMS[arm].written) {
    case 'all':
    case 'none':
      return 0;
    case 'fewer steps':
      if (stageSteps !== 'auto') return stageSteps.length - 1;
      return most.steps > maxLatentStage ? maxLatentStage + 1 : maxLatentStage;
    case 'fewer tokens':
      return Math.ceil(most.tokens / icotTokens);
  }
}

/**
 * Optimizer steps of an arm where they are known beforehand, else null. `samples`: those to train on, whatever the
 * stages say; null where the stages decide. --steps ends any arm that has come so far; of a text, whose stages a preset's
 * list does not mean, it is the number.
 */
export function plannedSteps(options: TrainOptions, samples: number | null): number | null {
  const { mode, stageSteps, batch, steps } = options;
  if (samples !== null) return Math.min(Math.ceil(samples / batch), steps ?? Number.POSITIVE_INFINITY);
  if (mode === 'lm' && steps !== null) return steps;
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
  last: number,
  options: TrainOptions,
  accuracy: number | null,
): boolean {
  const { stageSteps, stageMaxSteps } = options;
  // An arm of one stage trains for the sum of the list, as plannedSteps says.
  if (stageSteps !== 'auto') return last > 0 && position.stageStep >= stageSteps[position.stage]!;
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
