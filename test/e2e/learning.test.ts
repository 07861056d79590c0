// The recurrence learns: a window of one latent is enough to fit a few samples whose written steps are all gone, and
// the answers then hang on the thoughts.
import { expect, test } from 'vitest';
import { type CurriculumOptions, rowOf } from '../../src/data/curriculum.ts';
import { pointerSample, pointerWords } from '../../src/data/pointer.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { overAll } from '../../src/eval/control.ts';
import { evaluate } from '../../src/eval/evaluate.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { read } from '../../src/tensor.ts';
import { Learner } from '../../src/train/step.ts';
import { testGpu } from '../device.ts';

const gpu = await testGpu();

const TASK = { nodes: 5, hops: 2 };
const SAMPLES = 12;
const MOST_STEPS = 300;

test('coconut fits a small set exactly with window 1', async () => {
  const tokenizer = WordTokenizer.fromWords(pointerWords(TASK));
  const samples = Array.from({ length: SAMPLES }, (_, i) => pointerSample(3, i, TASK));
  const curriculum: CurriculumOptions = {
    latentsPerStep: 1,
    maxLatentStage: 2,
    padLatents: true,
    endMarker: 'latents',
  };
  const asked = { mode: 'coconut', stage: 2, curriculum, batch: SAMPLES } as const;
  const rows = samples.map(sample => rowOf(sample, tokenizer, 'coconut', 2, curriculum));
  expect(rows.every(row => row.latents === 2)).toBe(true);

  const config: ModelConfig = {
    vocabSize: tokenizer.size,
    positions: 24,
    width: 16,
    layers: 1,
    heads: 2,
    inner: 64,
    layerNormEpsilon: 1e-5,
    bosTokenId: undefined,
    eosTokenId: tokenizer.eos,
    padTokenId: tokenizer.pad,
    latentTokenId: tokenizer.latent,
    startLatentId: tokenizer.startLatent,
    endLatentId: tokenizer.endLatent,
    reasoning: undefined,
  };
  const parameters = new Parameters(gpu, config);
  parameters.load(initialWeights(config, 'matched', 0));
  const model = new Gpt(parameters);
  const adamw = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, clip: 1 };
  const learner = new Learner(model, { ...adamw, window: 1, microBatch: 'all', padId: tokenizer.pad });
  const step = async (): Promise<number> => {
    const { losses, clip } = learner.step(rows, 0.01);
    const values = await Promise.all(losses.map(read));
    for (const tensor of [...losses, clip]) tensor.free();
    return values.reduce((sum, value) => sum + value[0]!, 0);
  };

  expect((await evaluate(model, tokenizer, samples, asked)).exactMatch).toBeLessThan(0.5);
  const first = await step();
  let last = first;
  let steps = 1;
  for (; steps < MOST_STEPS && last > 0.005; steps++) last = await step();
  expect(last, `loss after ${steps} steps, ${first} at first`).toBeLessThanOrEqual(0.005);
  const fitted = await evaluate(model, tokenizer, samples, asked);
  expect(fitted.exactMatch).toBe(1);
  expect(fitted.outcomes.every(outcome => outcome.latents === 2)).toBe(true);
  const without = await evaluate(model, tokenizer, samples, { ...asked, control: overAll('no-latent') });
  expect(without.exactMatch).toBeLessThan(1);
  learner.free();
  parameters.free();
});
