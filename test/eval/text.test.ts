// The score of a text against the float64 reference, whatever is run at once.
import { expect, it } from 'vitest';
import { windowAt, windowCount } from '../../src/data/text.ts';
import { perplexity, scoreText } from '../../src/eval/text.ts';
import { parseConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { testGpu } from '../device.ts';
import { referenceConfig, referenceWeights } from '../reference/engine.ts';
import { forward, lossOf } from '../reference/model.ts';

const gpu = await testGpu();
const json = { vocab_size: 9, n_positions: 12, n_embd: 24, n_layer: 2, n_head: 3, latent_token_id: 8 };
const config = parseConfig(JSON.stringify(json), 'config.json');
const weights = initialWeights(config, 'matched', 2);

it('is the mean over the tokens that are predicted, in nats and in bits a byte', async () => {
  const parameters = new Parameters(gpu, config);
  parameters.load(weights);
  const windows = { tokens: Array.from({ length: 30 }, (_, i) => (i * i + 3 * i) % 8), columns: 6 };
  const rows = Array.from({ length: windowCount(windows) }, (_, i) => windowAt(windows, i));
  expect(rows.map(({ tokens }) => tokens.length)).toEqual([6, 6, 6, 6, 6, 5]);
  const reference = { config: referenceConfig(config), weights: referenceWeights(weights) };
  const sum = rows.reduce((total, { tokens }) => {
    const batch = {
      input_ids: [tokens],
      labels: [tokens],
      attention_mask: [tokens.map(() => 1)],
      position_ids: [tokens.map((_, i) => i)],
    };
    return total + lossOf(reference, batch, forward(reference, batch)) * (tokens.length - 1);
  }, 0);
  for (const most of [1, 4, 100]) {
    const score = await scoreText(new Gpt(parameters), { rows, bytesPerToken: 2.5 }, 0, most);
    expect(score.tokens).toBe(29);
    expect(score.loss).toBeCloseTo(sum / 29, 5);
    expect(score.bitsPerByte).toBeCloseTo(sum / 29 / Math.log(2) / 2.5, 5);
    expect(perplexity(score)).toBeCloseTo(Math.exp(sum / 29), 3);
  }
  parameters.free();
  expect(gpu.pool.memory.live).toBe(0);
});
