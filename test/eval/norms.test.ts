// Norms against the float64 reference: of the state after each prompt, and of the token embeddings.
import { expect, it } from 'vitest';
import { matchingScale, norms, normsLine } from '../../src/eval/norms.ts';
import { parseConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { testGpu } from '../device.ts';
import { referenceConfig, referenceWeights } from '../reference/engine.ts';
import { forward } from '../reference/model.ts';

const gpu = await testGpu();
const json = { vocab_size: 9, n_positions: 12, n_embd: 24, n_layer: 2, n_head: 3, latent_token_id: 8 };
const config = parseConfig(JSON.stringify(json), 'config.json');
const weights = initialWeights(config, 'gpt2', 2);
const norm = (values: ArrayLike<number>) =>
  Math.sqrt(Array.from(values, x => x * x).reduce((a, b) => a + b, 0));
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

it("are means over the vocabulary and over the prompts' last columns, pads or not", async () => {
  const parameters = new Parameters(gpu, config);
  parameters.load(weights);
  const texts = [[1, 2, 3, 4], [5], [6, 7]];
  const prompts = texts.map(tokens => ({ tokens, latentStart: -1, latents: 0 }));
  const found = await norms(new Gpt(parameters), prompts, 0);
  const reference = { config: referenceConfig(config), weights: referenceWeights(weights) };
  const trace = texts.flatMap(ids =>
    forward(reference, {
      input_ids: [ids],
      labels: [ids.map(() => -100)],
      attention_mask: [ids.map(() => 1)],
      position_ids: [ids.map((_, i) => i)],
    }),
  );
  const wte = weights.get('transformer.wte.weight')!;
  const rows = Array.from({ length: 9 }, (_, id) => norm(wte.subarray(id * 24, (id + 1) * 24)));
  expect(found.hidden).toBeCloseTo(mean(trace.map(columns => norm(columns.at(-1)!.hidden))), 4);
  expect(found.token).toBeCloseTo(mean(rows), 5);
  // The usual start of GPT-2: the states are far longer.
  expect(found.hidden / found.token).toBeGreaterThan(20);
  parameters.free();
  expect(gpu.pool.memory.live).toBe(0);
});

it('are told in one line', () => {
  expect(normsLine({ token: 3.136, hidden: 120 })).toBe(
    "norms: a token's embedding 3.14, the hidden state that is fed back 120, 38.3 times as long",
  );
});

it('are brought together by their ratio', () => {
  expect(matchingScale({ token: 3.136, hidden: 120 })).toBe(0.02613);
});
