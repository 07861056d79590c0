// Logits in parts: a head whose logits are more than one binding, or than what is computed at once, against the float64
// reference, and against what it may hold in memory.
import { expect, it } from 'vitest';
import type { Batch } from '../../src/data/batch.ts';
import { parseBatch } from '../../src/eval/parity.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { latentLoss } from '../../src/model/latent.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { Tape } from '../../src/tape.ts';
import { read } from '../../src/tensor.ts';
import { testGpu } from '../device.ts';
import { referenceConfig } from '../reference/engine.ts';
import { relativeError } from '../reference/fixtures.ts';
import { lossAndGrads } from '../reference/model.ts';
import { randomBatch, randomModel, uniform } from '../reference/random.ts';

const LATENT = 4;
const config: ModelConfig = {
  vocabSize: 1009,
  positions: 48,
  width: 8,
  layers: 1,
  heads: 2,
  inner: 32,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: undefined,
  padTokenId: undefined,
  latentTokenId: LATENT,
  startLatentId: undefined,
  endLatentId: undefined,
  reasoning: undefined,
};

const whole = await testGpu();
/** Logits of 16 rows are a binding, so the 84 labelled columns are six parts. */
const low = await testGpu({ limits: { maxBinding: 64 * 1024 } });

async function run(device: Gpu, weights: ReadonlyMap<string, Float64Array>, batch: Batch) {
  const before = device.pool.memory.live;
  const parameters = new Parameters(device, config);
  const gradients = parameters.another();
  parameters.load(new Map([...weights].map(([name, values]) => [name, Float32Array.from(values)])));
  const tape = new Tape(device);
  for (const name of parameters.names()) tape.watch(parameters.get(name), gradients.get(name));
  const held = device.pool.memory.live;
  device.pool.resetPeak();
  const { loss, release } = latentLoss(tape, new Gpt(parameters), batch, { window: 'full' });
  tape.backward(loss);
  release();
  const peak = device.pool.memory.peak - held;
  const value = (await read(loss))[0]!;
  const values = await gradients.values();
  for (const owner of [loss, parameters, gradients]) owner.free();
  expect(device.pool.memory.live, 'everything freed').toBe(before);
  return { value, values, peak };
}

it('loss and gradients of logits in parts are the reference’s, with the memory of one part', async () => {
  const random = uniform(5);
  const model = randomModel(referenceConfig(config), random);
  const plan = [2, 0, 1].map(latents => ({ question: 3, latents, text: 27 }));
  const asked = randomBatch(model.config, plan, random);
  const batch = parseBatch(JSON.stringify(asked), 'batch.json', LATENT);
  const expected = lossAndGrads(model, asked, 'full');
  const kept = await run(whole, model.weights, batch);
  const parts = await run(low, model.weights, batch);
  for (const { value, values } of [kept, parts]) {
    expect(Math.abs(value / expected.loss - 1)).toBeLessThan(1e-5);
    for (const [name, gradient] of expected.grads)
      expect(relativeError(Float64Array.from(values.get(name)!), gradient), name).toBeLessThan(1e-4);
  }
  // 84 rows of 1,009 logits and their gradients are 678 kB; a part's are 129.
  expect(kept.peak).toBeGreaterThan(678_000);
  expect(parts.peak).toBeLessThan(kept.peak / 2);
  const again = await run(low, model.weights, batch);
  expect(again.value).toBe(parts.value);
  expect(again.values).toEqual(parts.values);
});
