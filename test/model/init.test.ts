// How a bridge starts: from the published form, with thoughts as long as token embeddings. Step heads: that they are
// another stream of the seed.
import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../src/model/config.ts';
import { type InitScale, initialWeights } from '../../src/model/init.ts';
import type { Feedback } from '../../src/model/recurrence.ts';
import { stepHeadWeights } from '../../src/model/step-head.ts';
import { feedback } from '../reference/feedback.ts';
import { layerNorm } from '../reference/math.ts';

const config: ModelConfig = {
  vocabSize: 40,
  positions: 16,
  width: 32,
  layers: 2,
  heads: 2,
  inner: 128,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: 2,
  padTokenId: 0,
  latentTokenId: 5,
  startLatentId: 3,
  endLatentId: 4,
  reasoning: undefined,
};
const withFeedback = (form: Feedback): ModelConfig => ({
  ...config,
  recurrence: { feedback: form, schedule: 'sequential' },
});
const norm = (x: Float64Array): number => Math.hypot(...x);

describe.each(['matched', 'gpt2'] as const)('a bridge, weights started as %s', (scale: InitScale) => {
  it.each(['linear', 'mlp'] as const)('%s begins with the hidden state, as long as a token', form => {
    const weights = initialWeights(withFeedback(form), scale, 7);
    const w = (name: string) => Float64Array.from(weights.get(`transformer.${name}`)!);
    const wte = w('wte.weight');
    const tokens = Array.from({ length: config.vocabSize }, (_, v) =>
      norm(wte.subarray(v * 32, (v + 1) * 32)),
    );
    const mean = tokens.reduce((a, b) => a + b) / tokens.length;
    // Any vector through the final LayerNorm is a hidden state.
    const state = layerNorm(
      Float64Array.from({ length: 32 }, (_, i) => Math.sin(3 * i)),
      w('ln_f.weight'),
      w('ln_f.bias'),
      1e-5,
    );
    const fed = feedback(form, state, { w, head: wte }, 1e-5);
    const cosine = fed.reduce((dot, x, i) => dot + x * state[i]!, 0) / norm(fed) / norm(state);
    expect(cosine).toBeGreaterThan(0.999);
    expect(norm(fed) / mean).toBeGreaterThan(0.9);
    expect(norm(fed) / mean).toBeLessThan(1.1);
    if (scale === 'matched') expect(Math.abs(norm(fed) / norm(state) - 1)).toBeLessThan(0.1);
  });

  it('leaves all other weights what they are without one', () => {
    const plain = initialWeights(config, scale, 7);
    const bridged = initialWeights(withFeedback('mlp'), scale, 7);
    for (const [name, values] of plain) expect(bridged.get(name), name).toEqual(values);
    expect(bridged.size).toBe(plain.size + 6);
  });
});

it('a step head is a function of the seed', () => {
  const of = (seed: number) => stepHeadWeights(config, 2, seed);
  expect(of(1)).toEqual(of(1));
  expect(of(1)).not.toEqual(of(2));
  const first = of(1).get('step_head.0.weight')!;
  expect(first).not.toEqual(of(1).get('step_head.1.weight'));
});
