// What train.ts would train with these options, ready to take steps at one stage of its curriculum. Knows the
// trainer's parts; knows nothing of measuring.
import type { Row } from '../../src/data/batch.ts';
import { UserError } from '../../src/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { Arm } from '../../src/train/arm.ts';
import { armModel } from '../../src/train/arm-model.ts';
import { armModes } from '../../src/train/arms.ts';
import type { Checkpoint } from '../../src/train/checkpoint.ts';
import { Course } from '../../src/train/course.ts';
import { learningRate } from '../../src/train/optimizer.ts';
import type { TrainOptions } from '../../src/train/option-table.ts';
import type { Setup } from '../../src/train/prepare.ts';
import { Learner } from '../../src/train/step.ts';

/** The stage to profile: the one asked for, else that of a resumed run, else the last. Throws UserError beyond it. */
export function stageOf(
  wanted: number | undefined,
  mode: Arm,
  options: TrainOptions,
  setup: Setup,
  from: Checkpoint | undefined,
): number {
  const last = new Course({ mode, samples: null }, setup, options).last;
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
export function modeOf(options: TrainOptions, from: Checkpoint | undefined): Arm {
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
  mode: Arm,
  stage: number,
  options: TrainOptions,
  setup: Setup,
  from: Checkpoint | undefined,
): Stepper {
  const course = new Course({ mode, samples: null }, setup, options);
  const learner = new Learner(armModel(gpu, mode, setup, options, from), {
    ...options,
    window: options.bptt,
    padId: setup.tokenizer.pad,
  });
  return {
    batches: count => Array.from({ length: count }, (_, k) => course.rows(k * options.batch, stage)),
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
  mode: Arm,
  stage: number,
  options: TrainOptions,
  setup: Setup,
  steps: number,
): string {
  const on = options.data ?? options.task;
  const { layers, width } = setup.config;
  const last = new Course({ mode, samples: null }, setup, options).last;
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
