// What train.ts would train with these options, ready to take steps at one stage of its curriculum. Knows the
// trainer's parts; knows nothing of measuring.
import type { Row } from '../../src/data/batch.ts';
import { type Mode, rowOf, withSteps } from '../../src/data/curriculum.ts';
import { UserError } from '../../src/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { armModel, isSupervised } from '../../src/train/arm-model.ts';
import { armModes } from '../../src/train/arms.ts';
import type { Checkpoint } from '../../src/train/checkpoint.ts';
import { learningRate } from '../../src/train/optimizer.ts';
import type { TrainOptions } from '../../src/train/option-table.ts';
import { lastStage } from '../../src/train/schedule.ts';
import type { Setup } from '../../src/train/setup.ts';
import { Learner } from '../../src/train/step.ts';

/** The stage to profile: the one asked for, else that of a resumed run, else the last. Throws UserError beyond it. */
export function stageOf(
  wanted: number | undefined,
  mode: Mode,
  options: TrainOptions,
  setup: Setup,
  from: Checkpoint | undefined,
): number {
  const last = lastStage(mode, options, setup.most);
  const stage = wanted ?? (from?.trainer.arm === mode ? from.trainer.stage : last);
  if (stage > last)
    throw new UserError(
      last === 0
        ? `--stage ${stage}: this run has no stage but 0`
        : `--stage ${stage}: the stages of this run are 0 to ${last}`,
    );
  return stage;
}

/** The arm that train.ts trains first, or the one that a resumed run is in. */
export function modeOf(options: TrainOptions, from: Checkpoint | undefined): Mode {
  return from?.trainer.arm ?? armModes(options)[0]!;
}

export interface Stepper {
  /** Rows of the first `count` batches, one list a step: the samples in the order in which a run meets them. */
  batches(count: number): Row[][];
  /** Records and submits one optimizer step; waits for nothing, and reads nothing back. Returns its tokens. */
  step(rows: readonly Row[]): number;
}

export function stepper(
  gpu: Gpu,
  mode: Mode,
  stage: number,
  options: TrainOptions,
  setup: Setup,
  from: Checkpoint | undefined,
): Stepper {
  const { tokenizer, curriculum, train } = setup;
  const learner = new Learner(armModel(gpu, mode, setup, options, from), {
    ...options,
    window: options.bptt,
    padId: tokenizer.pad,
  });
  const rowAt = (index: number): Row => {
    const sample = train.at(index);
    const row = rowOf(sample, tokenizer, mode, stage, curriculum);
    return isSupervised(mode, options) ? withSteps(row, sample, tokenizer, curriculum) : row;
  };
  return {
    batches: count =>
      Array.from({ length: count }, (_, k) =>
        Array.from({ length: options.batch }, (_, i) => rowAt(k * options.batch + i)),
      ),
    step(rows) {
      const lr = learningRate(0, learner.optimizer.steps, options, null);
      const { losses, clip, tokens } = learner.step(rows, lr);
      for (const tensor of [...losses, clip]) tensor.free();
      return tokens;
    },
  };
}

/** What is profiled, in a few words. */
export function titleOf(
  mode: Mode,
  stage: number,
  options: TrainOptions,
  setup: Setup,
  steps: number,
): string {
  const on = options.data ?? options.task;
  const { layers, width } = setup.config;
  const last = lastStage(mode, options, setup.most);
  const at = `stage ${stage} of ${last}`;
  const what = mode === 'coconut' ? at : last > 0 ? `${mode}, ${at}` : mode;
  return [
    `${on}, ${what}`,
    `${counted(layers, 'layer')} of width ${width}`,
    `${counted(options.batch, 'row')} a step, ${counted(steps, 'step')} measured`,
  ].join(' · ');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
