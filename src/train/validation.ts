// What an arm is measured by while it trains: answers to unseen samples, or the loss of unseen text. Knows evaluation;
// knows no loop.
import type { Mode } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import { evaluate } from '../eval/evaluate.ts';
import { evalBatch } from '../eval/parts.ts';
import { scoreText } from '../eval/text.ts';
import type { Gpt } from '../model/gpt.ts';
import type { Arm } from './arm.ts';
import type { Measure } from './metrics.ts';
import type { TrainOptions } from './option-table.ts';
import type { Setup } from './prepare.ts';
import { lastStage, threshold } from './schedule.ts';
import type { SampleSetup } from './setup.ts';
import type { TextSetup } from './text-setup.ts';

/** So far below its threshold, an accuracy on a third of the samples will not reach it on all. */
const FAR = 0.1;

export interface Validation {
  /** Measures the model on what it does not learn, as far as the trainer needs it. */
  validate(model: Gpt, stage: number): Promise<Measure>;
  /** The beginning of the same, so that its kernels are compiled. */
  rehearse(model: Gpt, stage: number): Promise<void>;
}

/** The validations of one arm of a run. */
export function validationOf(arm: Arm, setup: Setup, options: TrainOptions): Validation {
  if ('text' in setup) return ofText(setup);
  if (arm === 'lm') throw new Error('lm learns from a text, and samples were prepared');
  return ofSamples(arm, setup, options);
}

function ofSamples(mode: Mode, setup: SampleSetup, options: TrainOptions): Validation {
  const { tokenizer, curriculum, valid, config, most } = setup;
  const last = lastStage(mode, options, most);
  const first = Math.ceil(valid.length / 3);
  /** Right answers at a stage, in batches of one size: others would need memory and kernels of their own. */
  const right = async (model: Gpt, samples: readonly Sample[], stage: number): Promise<number> => {
    const batch = Math.min(first, evalBatch(config.positions));
    const asked = { mode, stage, curriculum, batch, scoring: options.score };
    return (await evaluate(model, tokenizer, samples, asked)).exactMatch * samples.length;
  };
  return {
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

function ofText({ text: { valid }, tokenizer, config }: TextSetup): Validation {
  const most = evalBatch(config.positions);
  return {
    async validate(model) {
      const { loss, bitsPerByte } = await scoreText(model, valid, tokenizer.pad, most);
      return { kind: 'held-out', loss, bitsPerByte };
    },
    async rehearse(model) {
      await scoreText(model, { ...valid, rows: valid.rows.slice(0, most) }, tokenizer.pad, most);
    },
  };
}
