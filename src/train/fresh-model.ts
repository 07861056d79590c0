// A model that begins with random weights. Knows shapes and a tokenizer; knows no data and no device.
import type { Tokenizer } from '../data/tokenizer.ts';
import { UserError } from '../errors.ts';
import type { OpenModel } from '../eval/open.ts';
import { type ModelConfig, parameterCount } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import type { TrainOptions } from './option-table.ts';

/** A model of more would not fit in the arrays that its files are read into. */
const MOST_PARAMETERS = 2 ** 30;

/** GPT-2's proportions, for rows of up to `positions` columns. */
export function configFor(
  tokenizer: Tokenizer,
  { width, heads, layers }: Pick<ModelConfig, 'width' | 'heads' | 'layers'>,
  positions: number,
): ModelConfig {
  const marker = (id: number): number | undefined => (id < 0 ? undefined : id);
  return {
    vocabSize: tokenizer.size,
    positions,
    width,
    layers,
    heads,
    inner: 4 * width,
    layerNormEpsilon: 1e-5,
    bosTokenId: undefined,
    eosTokenId: tokenizer.eos,
    padTokenId: tokenizer.pad,
    latentTokenId: marker(tokenizer.latent),
    startLatentId: marker(tokenizer.startLatent),
    endLatentId: marker(tokenizer.endLatent),
    reasoning: undefined,
  };
}

/** The model that the options describe. Throws UserError where it is too large. */
export function freshModel(
  tokenizer: Tokenizer,
  positions: number,
  recurrence: ModelConfig['recurrence'],
  options: TrainOptions,
): OpenModel {
  const { width, layers, initScale, seed } = options;
  const config = { ...configFor(tokenizer, options, positions), recurrence };
  const count = parameterCount({ ...config, layers: 1 }) * config.layers;
  if (count > MOST_PARAMETERS)
    throw new UserError(
      `--width ${width} and --layers ${layers} make a model of more than ${MOST_PARAMETERS} parameters: lower them`,
    );
  return { tokenizer, config, weights: initialWeights(config, initScale, seed) };
}
