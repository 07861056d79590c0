// What an arm is trained on and measured by: samples in a mode, stage by stage, or a text. Knows where rows come from;
// knows no optimizer and no loop.
import type { Row } from '../data/batch.ts';
import { type Mode, rowOf, withSteps } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import { evaluate } from '../eval/evaluate.ts';
import { evalBatch } from '../eval/parts.ts';
import { scoreText } from '../eval/text.ts';
import type { Gpt } from '../model/gpt.ts';
import type { Arm } from './arm.ts';
import { isSupervised } from './arm-model.ts';
import type { Measure } from './metrics.ts';
import type { TrainOptions } from './option-table.ts';
import type { Setup } from './prepare.ts';
import { lastStage, threshold } from './schedule.ts';
import type { SampleSetup } from './setup.ts';
import type { TextSetup } from './text-setup.ts';

/** So far below its threshold, an accuracy on a third of the samples will not reach it on all. */
const FAR = 0.1;

export interface Course {
  readonly lastStage: number;
  /** Row `index` of the arm's training, as it is at `stage`: a pure function. */
  row(index: number, stage: number): Row;
  /** Measures the model on what it does not learn, as far as the trainer needs it. */
  validate(model: Gpt, stage: number): Promise<Measure>;
  /** The beginning of the same, so that its kernels are compiled. */
  rehearse(model: Gpt, stage: number): Promise<void>;
}

/** The course of one arm of a run. */
export function courseOf(arm: Arm, setup: Setup, options: TrainOptions): Course {
  if ('text' in setup) return textCourse(setup);
  if (arm === 'lm') throw new Error('lm learns from a text, and samples were prepared');
  return sampleCourse(arm, setup, options);
}

function sampleCourse(mode: Mode, setup: SampleSetup, options: TrainOptions): Course {
  const { tokenizer, curriculum, train, valid, config, most } = setup;
  const last = lastStage(mode, options, most);
  const first = Math.ceil(valid.length / 3);
  /** Right answers at a stage, in batches of one size: others would need memory and kernels of their own. */
  const right = async (model: Gpt, samples: readonly Sample[], stage: number): Promise<number> => {
    const batch = Math.min(first, evalBatch(config.positions));
    const asked = { mode, stage, curriculum, batch, scoring: options.score };
    return (await evaluate(model, tokenizer, samples, asked)).exactMatch * samples.length;
  };
  return {
    lastStage: last,
    row(index, stage) {
      const sample = train.at(index);
      const row = rowOf(sample, tokenizer, mode, stage, curriculum);
      return isSupervised(mode, options) ? withSteps(row, sample, tokenizer, curriculum) : row;
    },
    async validate(model, stage) {
      let count = await right(model, valid.slice(0, first), stage);
      // A first third far below the threshold says enough.
      const far = options.stageSteps === 'auto' && count / first < threshold(stage, last, options) - FAR;
      if (!far && valid.length > first) count += await right(model, valid.slice(first), stage);
      return { kind: 'validation', accuracy: count / (far ? first : valid.length) };
    },
    async rehearse(model, stage) {
      await right(model, valid.slice(0, first), stage);
    },
  };
}

function textCourse({ text, tokenizer, config }: TextSetup): Course {
  const { train, valid } = text;
  const most = evalBatch(config.positions);
  return {
    lastStage: 0,
    row: train,
    async validate(model) {
      const { loss, bitsPerByte } = await scoreText(model, valid, tokenizer.pad, most);
      return { kind: 'held-out', loss, bitsPerByte };
    },
    async rehearse(model) {
      await scoreText(model, { ...valid, rows: valid.rows.slice(0, most) }, tokenizer.pad, most);
    },
  };
}
