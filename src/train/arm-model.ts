// The model that one arm of a run trains: the run's own, with what only its mode needs. Knows modes, options and
// parameters; knows no step.
import type { Gpu } from '../gpu/gpu.ts';
import { Gpt } from '../model/gpt.ts';
import { Parameters } from '../model/parameters.ts';
import { stepHeadShapes, stepHeadWeights } from '../model/step-head.ts';
import { type Arm, feedsBack } from './arm.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { TrainOptions } from './option-table.ts';
import type { Setup } from './prepare.ts';

/** Whether rows of this mode carry the steps of their latents, for a step head to learn. */
export function isSupervised(mode: Arm, { stepSupervision }: TrainOptions): boolean {
  return stepSupervision > 0 && feedsBack(mode);
}

/**
 * The arm's model on `gpu`, as it starts or as it was in a checkpoint of the arm. In a mode that feeds nothing back it
 * has no bridge; where steps are supervised, the step head's parameters are beside the model's own.
 */
export function armModel(
  gpu: Gpu,
  mode: Arm,
  setup: Setup,
  options: TrainOptions,
  from: Checkpoint | undefined,
): Gpt {
  const { config, weights } = setup;
  const own = feedsBack(mode) ? config : { ...config, recurrence: undefined };
  const tokens = 'longestStep' in setup && isSupervised(mode, options) ? setup.longestStep : 0;
  const parameters = new Parameters(gpu, own, stepHeadShapes(own, tokens));
  parameters.load(from?.weights ?? new Map([...weights, ...stepHeadWeights(own, tokens, options.seed)]));
  return new Gpt(parameters);
}
