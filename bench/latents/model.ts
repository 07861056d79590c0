// A model of a bench's size on a device, with weights as a run starts with them. Knows the model's parts; knows no
// optimizer.
import type { Gpu } from '../../src/gpu/gpu.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { configFor } from '../../src/train/fresh-model.ts';
import { type Size, tokenizerFor } from './rows.ts';

const SEED = 1;

/** The model of a size for rows of up to `columns` columns. */
export function modelFor(gpu: Gpu, size: Size, columns: number): Gpt {
  const parameters = new Parameters(gpu, configFor(tokenizerFor(size), size, 16 * Math.ceil(columns / 16)));
  parameters.load(initialWeights(parameters.config, 'matched', SEED));
  return new Gpt(parameters);
}
