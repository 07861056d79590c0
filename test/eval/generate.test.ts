// Generation with the K/V cache against the float64 reference, which recomputes every row from its start.
import { describe, expect, it } from 'vitest';
import { collatePrompts, type Prompt } from '../../src/data/batch.ts';
import { generate } from '../../src/eval/generate.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { FEEDBACKS, type Recurrence } from '../../src/model/recurrence.ts';
import { testGpu } from '../device.ts';
import { relativeError, seeded } from '../numbers.ts';
import { referenceConfig, referenceWeights } from '../reference/engine.ts';
import { softmax } from '../reference/math.ts';
import { forward, logits, type ReferenceBatch, settled } from '../reference/model.ts';

const EOS = 2;
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
  eosTokenId: EOS,
  padTokenId: 0,
  latentTokenId: LATENT,
  startLatentId: 3,
  endLatentId: 4,
  reasoning: undefined,
};
const gpu = await testGpu();
const weights = initialWeights(config, 'matched', 11);
const parameters = new Parameters(gpu, config);
parameters.load(weights);
const model = new Gpt(parameters);
const reference = { config: referenceConfig(config), weights: referenceWeights(weights) };

/** Prompts of different lengths with `latents` latents and one token after them. */
function prompts(latents: number, lengths: readonly number[]): Prompt[] {
  const random = seeded(5);
  const word = (): number => 6 + Math.floor(random() * 13);
  return lengths.map(length => {
    const tokens = [...Array.from({ length }, word), ...Array<number>(latents).fill(LATENT), word()];
    return { tokens, latents, latentStart: latents > 0 ? length : -1 };
  });
}

/** A batch of one row for the reference. */
function rowOf(tokens: readonly number[]): ReferenceBatch {
  return {
    input_ids: [[...tokens]],
    labels: [tokens.map(() => -100)],
    attention_mask: [tokens.map(() => 1)],
    position_ids: [tokens.map((_, t) => t)],
  };
}

/** Logits after a row of tokens, and its hidden states, by the reference. */
function referenceLogits(tokens: readonly number[]): {
  last: Float64Array;
  hidden: (t: number) => Float64Array;
} {
  const trace = forward(reference, rowOf(tokens));
  const hidden = (t: number): Float64Array => settled(trace[0]!, t).hidden;
  return { last: logits(reference, hidden(tokens.length - 1)), hidden };
}

/** Up to a written latent token at most: the reference would think at it, where generation reads it as text. */
function greedy(prompt: Prompt, count: number): number[] {
  const tokens = [...prompt.tokens];
  for (let i = 0; i < count; i++) {
    const { last } = referenceLogits(tokens);
    const best = last.indexOf(Math.max(...last));
    if (best === EOS) break;
    tokens.push(best);
    if (best === LATENT) break;
  }
  return tokens.slice(prompt.tokens.length);
}

describe('in other recurrences', () => {
  const cases: Recurrence[] = [
    ...FEEDBACKS.map((feedback): Recurrence => ({ feedback, schedule: 'sequential' })),
    { feedback: 'hidden', schedule: 'sequential', scale: 0.3 },
    { feedback: 'hidden', schedule: 'jacobi:1' },
    { feedback: 'hidden', schedule: 'jacobi:2' },
    { feedback: 'mlp', schedule: 'jacobi:3' },
    { feedback: 'hidden', schedule: 'jacobi:9' },
  ];
  it.each(cases)(
    'writes what the reference writes, and thinks what it thinks: $feedback, $schedule, $scale',
    async recurrence => {
      const other = { ...config, recurrence };
      const values = initialWeights(other, 'matched', 12);
      const held = new Parameters(gpu, other);
      held.load(values);
      const asked = prompts(4, [4, 7, 2]);
      const options = { maxTokens: 3, eos: -1, logits: true, thoughts: true };
      const made = await generate(new Gpt(held), collatePrompts(asked, 0), options);
      const quick = await generate(new Gpt(held), collatePrompts(asked, 0), { maxTokens: 3, eos: -1 });
      expect(quick.tokens).toEqual(made.tokens);
      const specification = { config: referenceConfig(other), weights: referenceWeights(values) };
      for (const [b, prompt] of asked.entries()) {
        const trace = forward(specification, rowOf(prompt.tokens))[0]!;
        const last = logits(specification, settled(trace, prompt.tokens.length - 1).hidden);
        expect(relativeError(made.logits[b]![0]!, last)).toBeLessThan(1e-5);
        // Of each thought: what it was made of, the hidden state that its column took in the end.
        for (const [p, thought] of made.thoughts[b]!.entries()) {
          const { from } = settled(trace, prompt.latentStart + p);
          const said = softmax(logits(specification, trace[from!]!.hidden));
          expect(relativeError(thought, said)).toBeLessThan(1e-5);
        }
        // In one iteration only the first latent has a thought to take.
        expect(made.thoughts[b]!.length).toBe(recurrence.schedule === 'jacobi:1' ? 1 : 4);
      }
      held.free();
    },
  );
});

describe('generate', () => {
  it.each([0, 1, 3])('writes what the reference writes, after %d latents', async latents => {
    const asked = prompts(latents, [4, 7, 2, 5, 11]);
    const { tokens } = await generate(model, collatePrompts(asked, 0), { maxTokens: 9, eos: EOS });
    for (const [b, prompt] of asked.entries()) {
      const expected = greedy(prompt, 9);
      expect(tokens[b]!.slice(0, expected.length)).toEqual(expected);
      if (expected.at(-1) !== LATENT) expect(tokens[b]!.length).toBe(expected.length);
    }
    gpu.submit();
    expect(gpu.pool.memory.live).toBe(parameters.arenas.reduce((sum, { flat }) => sum + flat.bytes, 0));
  });

  it('shows each thought as the head would say it', async () => {
    const asked = prompts(2, [4, 6]);
    const options = { maxTokens: 1, eos: EOS, thoughts: true };
    const { thoughts } = await generate(model, collatePrompts(asked, 0), options);
    for (const [b, prompt] of asked.entries())
      for (const [p, thought] of thoughts[b]!.entries()) {
        const { hidden } = referenceLogits(prompt.tokens);
        const said = logits(reference, hidden(prompt.latentStart + p - 1));
        const powers = said.map(x => Math.exp(x - Math.max(...said)));
        const total = powers.reduce((a, x) => a + x, 0);
        expect(
          relativeError(
            thought,
            powers.map(x => x / total),
          ),
        ).toBeLessThan(1e-5);
      }
    expect(thoughts.map(row => row.length)).toEqual([2, 2]);
  });

  it('gives the logits of each token that it writes', async () => {
    const asked = prompts(2, [4, 6]);
    const options = { maxTokens: 2, eos: -1, logits: true };
    const made = await generate(model, collatePrompts(asked, 0), options);
    for (const [b, prompt] of asked.entries())
      for (const [step, row] of made.logits[b]!.entries()) {
        const before = [...prompt.tokens, ...made.tokens[b]!.slice(0, step)];
        expect(relativeError(row, referenceLogits(before).last)).toBeLessThan(1e-5);
      }
    expect(made.logits.map(row => row.length)).toEqual([2, 2]);
  });

  it('stops where the model has no more positions', async () => {
    const { tokens, ended } = await generate(model, collatePrompts(prompts(0, [37]), 0), {
      maxTokens: 50,
      eos: -1,
    });
    // 38 tokens of 40: two more are read, and a last one is written that need not be.
    expect(tokens[0]!.length).toBe(3);
    expect(ended).toEqual([false]);
  });

  it('draws the same with the same seed, and something else with another', async () => {
    const batch = collatePrompts(prompts(1, [4, 5, 6, 7]), 0);
    const draw = async (seed: number) =>
      (await generate(model, batch, { maxTokens: 8, eos: -1, temperature: 1.5, topK: 10, seed })).tokens;
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(1)).not.toEqual(await draw(2));
  });
});
