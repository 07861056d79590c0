// A model of a bench's size on a device, with weights as a run starts with them. Knows the model's parts; knows no
// trainer.
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { type Size, tokenizerFor } from './rows.ts';

const SEED = 1;

/** The model of a size for rows of up to `columns` columns. */
export function modelFor(gpu: Gpu, size: Size, columns: number): Gpt {
  const parameters = new Parameters(gpu, configFor(size, columns));
  parameters.load(initialWeights(parameters.config, 'matched', SEED));
  return new Gpt(parameters);
}

export function configFor(size: Size, columns: number): ModelConfig {
  const { width, layers, heads } = size;
  const tokenizer = tokenizerFor(size);
  return {
    vocabSize: tokenizer.size,
    positions: 16 * Math.ceil(columns / 16),
    width,
    layers,
    heads,
    inner: 4 * width,
    layerNormEpsilon: 1e-5,
    bosTokenId: undefined,
    eosTokenId: tokenizer.eos,
    padTokenId: tokenizer.pad,
    latentTokenId: tokenizer.latent,
    startLatentId: tokenizer.startLatent,
    endLatentId: tokenizer.endLatent,
    reasoning: undefined,
  };
}
