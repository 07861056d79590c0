// Step supervision: a throw-away head that says from each latent which written reasoning step it stands for, so that
// latents keep meaning something. It is trained with the model, kept in checkpoints, and left out of the saved model.
// Knows its own parameters; knows no passes.
import type { Batch, Row } from '../data/batch.ts';
import { randomFor } from '../data/random.ts';
import { UserError } from '../errors.ts';
import { concatRows, inOrder } from '../ops/concat-rows.ts';
import { linear } from '../ops/linear.ts';
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { elements, type ModelConfig, type NamedShape } from './config.ts';
import type { Gpt } from './gpt.ts';
import { headLoss, type Labelled } from './head-loss.ts';
import { latentPasses, type Schedule } from './recurrence.ts';

/** What the names of its parameters begin with: none of the model's does. */
export const STEP_HEAD = 'step_head.';

/** Parameters of a head that reads steps of up to `tokens` tokens: a linear map a position. */
export function stepHeadShapes({ width: C }: ModelConfig, tokens: number): NamedShape[] {
  return Array.from({ length: tokens }, (_, j): NamedShape[] => [
    [`${STEP_HEAD}${j}.weight`, [C, C]],
    [`${STEP_HEAD}${j}.bias`, [C]],
  ]).flat();
}

/** Names the stream of the head's weights among those of a seed. */
const STREAM = 2 ** 30 + 1;

/** Matrices from N(0, 1/C), biases 0; a pure function of its arguments. */
export function stepHeadWeights(
  config: ModelConfig,
  tokens: number,
  seed: number,
): Map<string, Float32Array> {
  const random = randomFor(seed, STREAM);
  const deviation = config.width ** -0.5;
  const value = (shape: readonly number[]): number => (shape.length > 1 ? deviation * random.normal() : 0);
  return new Map(
    stepHeadShapes(config, tokens).map(([name, shape]) => [
      name,
      Float32Array.from({ length: elements(shape) }, () => value(shape)),
    ]),
  );
}

/**
 * The head's loss [1]: scale times the sum, over all latents and the tokens of their steps, of the cross-entropy of
 * token j under the model's head of z·W_j + b_j. `thoughts` [n·B, C] are the states z that were fed back, latent p of row b
 * at p·B + b; of latents beyond them nothing was fed.
 *
 * SIM-CoT (arXiv 2509.20317) has a whole language model in this place, which writes the step token by token from the
 * latent. Here position j sees the latent alone and not the tokens before it: a step must be readable at once. It costs
 * a C × C map a position instead of a second model, and what it asks of a latent is the same: to hold the step.
 * Gradients go to the head, to the thoughts wherever they are recorded, and to the model's head (wte, where it is tied).
 */
export function stepLoss(
  tape: Tape,
  model: Gpt,
  thoughts: Tensor,
  batch: Batch,
  scale: number,
  own: (tensor: Tensor) => Tensor,
): Tensor {
  const rows = thoughts.shape[0]!;
  const tokens = stepTokens(batch, rows / batch.B, model.config.vocabSize);
  const positions = Math.max(...tokens.map(({ position }) => position)) + 1;
  const read = Array.from({ length: positions }, (_, j) => {
    const w = model.parameters.get(`${STEP_HEAD}${j}.weight`);
    const b = model.parameters.get(`${STEP_HEAD}${j}.bias`);
    return tape.apply(linear, { x: thoughts, w, b }, {});
  });
  const labelled = tokens.map(({ position, latent, b, token }): Labelled => {
    return { row: position * rows + latent * batch.B + b, target: token };
  });
  return headLoss(tape, model, tape.apply(concatRows, inOrder(read), undefined), labelled, scale, own);
}

interface StepToken {
  readonly b: number;
  readonly latent: number;
  readonly position: number;
  readonly token: number;
}

/** Every token of the first `latents` latents' steps. Throws UserError on one that the model has not. */
function stepTokens({ steps }: Batch, latents: number, V: number): StepToken[] {
  const all = (steps ?? []).flatMap((row, b) =>
    row
      .slice(0, latents)
      .flatMap((step, latent) => step.map((token, position): StepToken => ({ b, latent, position, token }))),
  );
  const bad = all.find(({ token }) => token >= V);
  if (bad) throw new UserError(`step token ${bad.token} is out of range: the model has ${V} tokens`);
  return all;
}

/** Tokens that the head reads of a row: of all latents, or of the first alone where no other has a thought. */
export function stepTokenCount({ steps = [] }: Pick<Row, 'steps'>, schedule: Schedule): number {
  const read = latentPasses(schedule, steps.length) === 1 ? steps.slice(0, 1) : steps;
  return read.reduce((sum, step) => sum + step.length, 0);
}
