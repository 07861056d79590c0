// One optimizer step, whole and in parts: a device with a low binding limit must learn the same.
import { expect, it } from 'vitest';
import type { Row } from '../../src/data/batch.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt, rowsThatFit } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { read } from '../../src/tensor.ts';
import { Learner } from '../../src/train/step.ts';
import { testGpu } from '../device.ts';
import { relativeError, seeded } from '../numbers.ts';

const LATENT = 5;
const config: ModelConfig = {
  vocabSize: 19,
  positions: 40,
  width: 24,
  layers: 2,
  heads: 3,
  inner: 96,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: 2,
  padTokenId: 0,
  latentTokenId: LATENT,
  startLatentId: 3,
  endLatentId: 4,
  reasoning: undefined,
};
const gpu = await testGpu();
const low = await testGpu({ limits: { maxBinding: 64 * 1024 }, poison: false });

/** Rows of `latents(i)` latents. */
function rows(latents: (i: number) => number = () => 2): Row[] {
  const random = seeded(9);
  const word = (): number => 6 + Math.floor(random() * 13);
  return Array.from({ length: 24 }, (_, i) => {
    const question = Array.from({ length: 6 + (i % 5) }, word);
    const text = [word(), word(), 2];
    const thoughts = latents(i);
    const prompt = [...question, ...Array<number>(thoughts).fill(LATENT), 4];
    return {
      tokens: [...prompt, ...text],
      labels: [...prompt.map(() => -100), ...text],
      latentStart: thoughts > 0 ? question.length : -1,
      latents: thoughts,
    };
  });
}

/** Loss of three steps and the weights after them. */
async function train(
  device: Gpu,
  microBatch: number | 'all',
  {
    window = 1,
    latents,
    ...more
  }: {
    window?: number;
    latents?: (i: number) => number;
    dropout?: number;
    seed?: number;
    recompute?: boolean;
  } = {},
): Promise<{ losses: number[]; weights: Float32Array }> {
  const parameters = new Parameters(device, config);
  parameters.load(initialWeights(config, 'matched', 4));
  const adamw = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, clip: 1 };
  const learner = new Learner(new Gpt(parameters), { ...adamw, ...more, window, microBatch, padId: 0 });
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const values = learner.step(rows(latents), 1e-3, step);
    const parts = await Promise.all(values.losses.map(read));
    losses.push(parts.reduce((sum, part) => sum + part[0]!, 0));
    for (const tensor of [...values.losses, values.clip]) tensor.free();
  }
  const weights = [...(await parameters.values()).values()].flatMap(values => [...values]);
  learner.free();
  parameters.free();
  return { losses, weights: Float32Array.from(weights) };
}

it('learns the same in micro-batches, asked for or forced by the binding limit', async () => {
  const whole = await train(gpu, 'all');
  expect(whole.losses[2]!).toBeLessThan(whole.losses[0]!);
  expect(rowsThatFit(low, config, 16)).toBeLessThan(24);
  for (const parts of [await train(gpu, 7), await train(low, 'all')]) {
    expect(relativeError(parts.losses, whole.losses)).toBeLessThan(1e-5);
    // AdamW divides by the root of a gradient's square, so rounding in a gradient near 0 moves a weight by up to lr.
    expect(relativeError(parts.weights, whole.weights)).toBeLessThan(1e-3);
  }
});

it('learns the same from rows of several numbers of latents as from each alone, with a finite window', async () => {
  const mixed = { window: 2, latents: (i: number) => i % 4 };
  const together = await train(gpu, 'all', mixed);
  const alone = await train(gpu, 1, mixed);
  expect(together.losses[2]!).toBeLessThan(together.losses[0]!);
  expect(relativeError(alone.losses, together.losses)).toBeLessThan(1e-5);
  expect(relativeError(alone.weights, together.weights)).toBeLessThan(1e-3); // as above
});

it('drops the same of a row whatever micro-batch it comes in, with blocks kept or run again', async () => {
  const dropout = { dropout: 0.2, seed: 3, latents: (i: number) => i % 3, window: 2 };
  const whole = await train(gpu, 'all', dropout);
  for (const parts of [await train(gpu, 5, dropout), await train(gpu, 7, { ...dropout, recompute: true })]) {
    expect(relativeError(parts.losses, whole.losses)).toBeLessThan(1e-5);
    expect(relativeError(parts.weights, whole.weights)).toBeLessThan(1e-3); // as above
  }
  expect(await train(gpu, 'all', dropout)).toEqual(whole);
  const others = [
    await train(gpu, 'all', { ...dropout, seed: 4 }),
    await train(gpu, 'all', { ...dropout, dropout: 0 }),
  ];
  for (const { losses } of others) expect(relativeError(losses, whole.losses)).toBeGreaterThan(1e-3);
});
