// The controls on thoughts, each against what it must amount to: other rows through the same model.
import { describe, expect, it } from 'vitest';
import { collatePrompts, type Prompt } from '../../src/data/batch.ts';
import { generate } from '../../src/eval/generate.ts';
import { type Tamper, tampered } from '../../src/eval/tamper.ts';
import { parseConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { Tape } from '../../src/tape.ts';
import { read, upload } from '../../src/tensor.ts';
import { testGpu } from '../device.ts';
import { relativeError, seeded } from '../numbers.ts';

const LATENT = 5;
const N = 3;
const config = parseConfig(
  '{"vocab_size":19,"n_positions":40,"n_embd":24,"n_layer":2,"n_head":3,"latent_token_id":5}',
  'config.json',
);
const weights = initialWeights(config, 'matched', 3);
// The latent token's embedding is never read; as zeros it makes a column of text that holds its position alone.
weights.get('transformer.wte.weight')!.fill(0, LATENT * 24, (LATENT + 1) * 24);
const gpu = await testGpu();
const parameters = new Parameters(gpu, config);
parameters.load(weights);
const model = new Gpt(parameters);

const random = seeded(8);
const word = (): number => 6 + Math.floor(random() * 13);
const questions = [5, 9, 7].map(length => Array.from({ length }, word));
const END = 4;

function thinking(question: readonly number[]): Prompt {
  const tokens = [...question, ...Array<number>(N).fill(LATENT), END];
  return { tokens, latents: N, latentStart: question.length };
}

async function run(prompts: readonly Prompt[], tamper: Tamper) {
  const batch = collatePrompts(prompts, 0);
  return generate(model, batch, { maxTokens: 8, eos: 2, thoughts: true, tamper });
}

/** The same rows with text, `written[b]`, where their latents were. */
function writtenOut(written: readonly (readonly number[])[]): Prompt[] {
  return questions.map((question, b) => ({
    tokens: [...question, ...written[b]!, END],
    latents: 0,
    latentStart: -1,
  }));
}

const likeliest = (probabilities: Float32Array): number => probabilities.indexOf(Math.max(...probabilities));

describe('tampering with thoughts', () => {
  it('`zero` leaves a column with its position alone', async () => {
    const { tokens } = await run(questions.map(thinking), 'zero');
    const blank = questions.map(() => Array<number>(N).fill(LATENT));
    expect(tokens).toEqual((await run(writtenOut(blank), 'none')).tokens);
    expect(tokens).not.toEqual((await run(questions.map(thinking), 'none')).tokens);
  });

  it('`snap` feeds back the embedding of the likeliest token', async () => {
    const { tokens, thoughts } = await run(questions.map(thinking), 'snap');
    const snapped = thoughts.map(row => row.map(likeliest));
    expect(tokens).toEqual((await run(writtenOut(snapped), 'none')).tokens);
    expect(tokens).not.toEqual((await run(questions.map(thinking), 'none')).tokens);
  });

  it('`shuffle` gives each row the thought of the next', async () => {
    const thought = upload(gpu, Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
    const swapped = tampered(new Tape(gpu), model, thought, 'shuffle')!;
    expect([...(await read(swapped))]).toEqual([3, 4, 5, 6, 1, 2]);
    const same = [0, 0].map(() => thinking(questions[0]!));
    expect((await run(same, 'shuffle')).tokens).toEqual((await run(same, 'none')).tokens);
    const mixed = await run(questions.map(thinking), 'shuffle');
    const plain = await run(questions.map(thinking), 'none');
    // The first thought is made from the question alone; the second has the other row's first before it.
    for (const [b, row] of mixed.thoughts.entries()) {
      expect(relativeError(row[0]!, plain.thoughts[b]![0]!)).toBe(0);
      expect(relativeError(row[1]!, plain.thoughts[b]![1]!)).toBeGreaterThan(1e-3);
    }
    await expect(run([thinking(questions[0]!)], 'shuffle')).rejects.toThrow(/no other/);
  });

  it('frees all that it makes', async () => {
    const before = gpu.pool.memory.live;
    for (const how of ['none', 'zero', 'shuffle', 'snap'] as const) {
      await run(questions.map(thinking), how);
      expect(gpu.pool.memory.live, how).toBe(before);
    }
  });
});
