// The course of an arm: the rows and the rate of each step, and when stages and the arm end. All of the loop that needs
// no device, a function of the position and the seed, for the loop and for who trains elsewhere (tools/scale). Knows
// options, samples and counters; knows no model.
import type { Row } from '../data/batch.ts';
import { drawStage, FORMS, type Mode, rowOf, withSteps } from '../data/curriculum.ts';
import { derivedSeed, randomFor } from '../data/random.ts';
import type { Reasoning } from '../model/config.ts';
import { isSupervised } from './arm-model.ts';
import { learningRate } from './optimizer.ts';
import type { TrainOptions } from './option-table.ts';
import { lastStage, type Position, plannedSteps, stageEnds } from './schedule.ts';
import type { Setup } from './setup.ts';

/** Names the stream of stage draws among those of a seed. */
const STAGE_DRAWS = 4;

export class Course {
  /** The last stage. */
  readonly last: number;
  /** Optimizer steps of the arm where they are known beforehand, else null. */
  readonly planned: number | null;
  readonly #mode: Mode;
  readonly #samples: number | null;
  readonly #setup: Setup;
  readonly #options: TrainOptions;

  /** `samples`: those to train on, the last stage lasting until then; null where the arm's own stages decide. */
  constructor(
    { mode, samples }: { readonly mode: Mode; readonly samples: number | null },
    setup: Setup,
    options: TrainOptions,
  ) {
    this.last = lastStage(mode, options, setup.most);
    this.planned = plannedSteps(options, samples);
    this.#mode = mode;
    this.#samples = samples;
    this.#setup = setup;
    this.#options = options;
  }

  /** The batch that follows on `samples` samples, as rows of a stage. */
  rows(samples: number, stage: number): Row[] {
    const { train, tokenizer, curriculum } = this.#setup;
    return Array.from({ length: this.#options.batch }, (_, i) => {
      const sample = train.at(samples + i);
      const row = rowOf(sample, tokenizer, this.#mode, stage, curriculum);
      return isSupervised(this.#mode, this.#options) ? withSteps(row, sample, tokenizer, curriculum) : row;
    });
  }

  /** What the step after `position` trains on, and its rate; `sinceReset`: optimizer steps since its moments were zero. */
  step(position: Position, sinceReset: number): { rows: Row[]; lr: number } {
    const { seed, uniformProb } = this.#options;
    const random = randomFor(derivedSeed(seed, STAGE_DRAWS), position.step);
    const stage = drawStage(random, position.stage, uniformProb);
    return {
      rows: this.rows(position.samples, stage),
      lr: learningRate(position.step, sinceReset, this.#options, this.planned),
    };
  }

  /** Whether a stage before the last is over; `accuracy` is that of a validation just made, or null. */
  stageEnds(position: Position, accuracy: number | null): boolean {
    return position.stage < this.last && stageEnds(position, this.last, this.#options, accuracy);
  }

  /** Whether the arm is. */
  ends(position: Position, accuracy: number | null): boolean {
    if (this.planned !== null && position.step >= this.planned) return true;
    const inLast = this.#samples === null && position.stage >= this.last;
    return inLast && stageEnds(position, this.last, this.#options, accuracy);
  }
}

export function advance({ step, samples, stage, stageStep }: Position, batch: number): Position {
  return { step: step + 1, samples: samples + batch, stage, stageStep: stageStep + 1 };
}

export function nextStage(position: Position): Position {
  return { ...position, stage: position.stage + 1, stageStep: 0 };
}

/** What records say of a position. */
export function positionOf({ step, stage, samples }: Position): Pick<Position, 'step' | 'stage' | 'samples'> {
  return { step, stage, samples };
}

/** How a model thinks that was trained up to a stage, as its config.json says it. */
export function reasoningOf(mode: Mode, stage: number, options: TrainOptions): Reasoning {
  const { latentsPerStep, maxLatentStage, padLatents, endMarker, icotTokens } = options;
  const common = { mode, stage, latentsPerStep, maxLatentStage, padLatents, endMarker };
  return FORMS[mode].written === 'fewer tokens' ? { ...common, icotTokens } : common;
}
