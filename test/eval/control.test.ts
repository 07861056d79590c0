// The controls on thoughts, each against what it must amount to: other rows through the same model.
import { describe, expect, it } from 'vitest';
import { collatePrompts, type Prompt } from '../../src/data/batch.ts';
import type { Sample } from '../../src/data/sample.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import {
  CONTROLS,
  type Control,
  checkControl,
  controlFeed,
  everyControl,
  overAll,
  parseControl,
  showControl,
} from '../../src/eval/control.ts';
import { evaluate } from '../../src/eval/evaluate.ts';
import { generate } from '../../src/eval/generate.ts';
import { parseConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { matchNorm } from '../../src/ops/match-norm.ts';
import { read, type Tensor, upload } from '../../src/tensor.ts';
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
const NONE = overAll('none');

function thinking(question: readonly number[]): Prompt {
  const tokens = [...question, ...Array<number>(N).fill(LATENT), END];
  return { tokens, latents: N, latentStart: question.length };
}

/** Generates under a control; `samples` are the samples' numbers, which noise depends on. */
async function run(prompts: readonly Prompt[], control: Control, samples = [...prompts.keys()], seed = 0) {
  const fed: Promise<Float32Array>[] = [];
  const inner = controlFeed(model, control, samples, seed);
  const feed = (given: Tensor, thought: Tensor, index: number): Tensor | undefined => {
    const made = inner ? inner(given, thought, index) : given;
    fed.push(made ? read(made) : Promise.resolve(new Float32Array()));
    return made;
  };
  const options = { maxTokens: 8, eos: 2, thoughts: true, feed };
  const made = await generate(model, collatePrompts(prompts, 0), options);
  return { ...made, fed: await Promise.all(fed) };
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
const length = (vector: Float32Array): number => Math.hypot(...vector);

describe('what is done to thoughts', () => {
  it('`zero` leaves a column with its position alone', async () => {
    const { tokens } = await run(questions.map(thinking), overAll('zero'));
    const blank = questions.map(() => Array<number>(N).fill(LATENT));
    expect(tokens).toEqual((await run(writtenOut(blank), NONE)).tokens);
    expect(tokens).not.toEqual((await run(questions.map(thinking), NONE)).tokens);
  });

  it('`snap` feeds back the embedding of the likeliest token', async () => {
    const { tokens, thoughts } = await run(questions.map(thinking), overAll('snap'));
    const snapped = thoughts.map(row => row.map(likeliest));
    expect(tokens).toEqual((await run(writtenOut(snapped), NONE)).tokens);
    expect(tokens).not.toEqual((await run(questions.map(thinking), NONE)).tokens);
  });

  it('`shuffle` gives each row the thought of the next', async () => {
    const thought = upload(gpu, Float32Array.of(1, 2, 3, 4), [2, 2]);
    const swapped = controlFeed(model, overAll('shuffle'), [0, 1], 0)!(thought, thought, 0)!;
    expect([...(await read(swapped))]).toEqual([3, 4, 1, 2]);
    for (const tensor of [thought, swapped]) tensor.free();
    const same = [0, 0].map(() => thinking(questions[0]!));
    expect((await run(same, overAll('shuffle'))).tokens).toEqual((await run(same, NONE)).tokens);
    const mixed = await run(questions.map(thinking), overAll('shuffle'));
    const plain = await run(questions.map(thinking), NONE);
    // The first thought is made from the question alone; the second has the other row's first before it.
    for (const [b, row] of mixed.thoughts.entries()) {
      expect(relativeError(row[0]!, plain.thoughts[b]![0]!)).toBe(0);
      expect(relativeError(row[1]!, plain.thoughts[b]![1]!)).toBeGreaterThan(1e-3);
    }
  });

  it('`noise` is as long as the thought, points elsewhere, and depends on seed, sample and thought', async () => {
    const prompts = questions.map(thinking);
    const plain = await run(prompts, NONE);
    const noisy = await run(prompts, overAll('noise'));
    const C = config.width;
    const row = (fed: Float32Array, b: number): Float32Array => fed.slice(b * C, (b + 1) * C);
    for (const b of questions.keys()) {
      const [own, other] = [row(plain.fed[0]!, b), row(noisy.fed[0]!, b)];
      expect(length(other)).toBeCloseTo(length(own), 4);
      expect(relativeError(other, own)).toBeGreaterThan(0.1);
    }
    const direction = (b: number): Float32Array =>
      row(noisy.fed[0]!, b).map(x => x / length(row(noisy.fed[0]!, b)));
    expect(relativeError(direction(0), direction(1))).toBeGreaterThan(0.1);
    expect((await run(prompts, overAll('noise'))).fed).toEqual(noisy.fed);
    expect((await run(prompts, overAll('noise'), [0, 1, 2], 1)).fed[0]).not.toEqual(noisy.fed[0]);
    // The same samples in another batch have the same noise.
    const last = await run(prompts.slice(2), overAll('noise'), [2]);
    expect(relativeError(last.fed[0]!, row(noisy.fed[0]!, 2))).toBeLessThan(1e-5);
    const directions = [0, 1].map(thought =>
      row(noisy.fed[thought]!, 0).map(x => x / length(row(noisy.fed[thought]!, 0))),
    );
    expect(relativeError(directions[0]!, directions[1]!)).toBeGreaterThan(0.1);
  });

  it.each(['zero', 'noise', 'shuffle', 'snap'] as const)(
    '`%s` of one thought leaves the others',
    async control => {
      const prompts = questions.map(thinking);
      const plain = await run(prompts, NONE);
      const every = await run(prompts, overAll(control));
      const second = await run(prompts, { control, thought: 2 });
      expect(second.fed[0]).toEqual(plain.fed[0]);
      expect(second.fed[1]).not.toEqual(plain.fed[1]);
      // The third is the model's own again, made after the second that was changed: neither of the others.
      expect(second.fed[2]).not.toEqual(plain.fed[2]);
      expect(second.fed[2]).not.toEqual(every.fed[2]);
      expect(second.fed[2]!.length).toBe(plain.fed[2]!.length);
    },
  );

  it('`snap` changes nothing where a thought is an embedding already', async () => {
    // Logits of a row of wte as the state: the head finds that token itself likeliest when its row is the longest.
    const table = Float32Array.from(weights.get('transformer.wte.weight')!);
    const token = 7;
    const long = table.slice(token * config.width, (token + 1) * config.width).map(x => 10 * x);
    const state = upload(gpu, long, [1, config.width]);
    const fed = controlFeed(model, overAll('snap'), [0], 0)!(state, state, 0)!;
    expect([...(await read(fed))]).toEqual([
      ...table.slice(token * config.width, (token + 1) * config.width),
    ]);
    for (const tensor of [state, fed]) tensor.free();
  });

  it('frees all that it makes', async () => {
    const before = gpu.pool.memory.live;
    for (const control of CONTROLS) {
      await run(questions.map(thinking), overAll(control));
      expect(gpu.pool.memory.live, control).toBe(before);
    }
  });
});

describe('rows as long as others', () => {
  it('are scaled, and 0 where there is no direction', async () => {
    const x = upload(gpu, Float32Array.of(3, 4, 0, 0, 1, 0), [3, 2]);
    const direction = upload(gpu, Float32Array.of(0, 2, 1, 1, 0, 0), [3, 2]);
    const y = matchNorm(gpu, x, direction);
    expect([...(await read(y))]).toEqual([0, 5, 0, 0, 0, 0]);
    expect(() => matchNorm(gpu, x, direction.view([2, 3]))).toThrow(/match-norm/);
    for (const tensor of [x, direction, y]) tensor.free();
  });
});

describe('evaluation under a control', () => {
  const tokenizer = WordTokenizer.fromWords('a b c d e f g h i j k ?'.split(' '));
  const letters = 'a b c d e f g h i j k'.split(' ');
  const samples = Array.from({ length: 5 }, (_, i): Sample => {
    const step = letters[(3 * i + 1) % 11]!;
    return {
      question: `${letters[i]} ${letters[(i * i + 3) % 11]} ? ${letters[i]}`,
      steps: [step],
      answer: step,
    };
  });
  const curriculum = {
    latentsPerStep: 2,
    maxLatentStage: 1,
    padLatents: true,
    endMarker: 'latents',
  } as const;
  const asked = (control: Control, batch: number) =>
    evaluate(model, tokenizer, samples, { mode: 'coconut', stage: 1, curriculum, batch, control });
  const tokens = async (control: Control, batch: number) =>
    (await asked(control, batch)).outcomes.map(outcome => outcome.tokens);

  it('does not depend on how samples are cut into batches, where a sample is changed by itself', async () => {
    for (const control of ['none', 'no-latent', 'zero', 'noise', 'snap'] as const)
      expect(await tokens(overAll(control), 2), control).toEqual(await tokens(overAll(control), 5));
  });

  it('shuffles a sample that would be alone in its batch with another one', async () => {
    // Parts of 2 and 3 rows, and of one each.
    expect((await asked(overAll('shuffle'), 3)).outcomes).toHaveLength(5);
    const alone = await asked(overAll('shuffle'), 1);
    expect(alone.outcomes.map(({ sample }) => sample)).toEqual(samples);
    expect(alone.outcomes.map(outcome => outcome.tokens)).not.toEqual(await tokens(NONE, 1));
  });

  it('refuses in one line what cannot be done', () => {
    expect(() => checkControl(overAll('shuffle'), 3, 1)).toThrow(/^control shuffle: one sample has no other/);
    expect(() => checkControl({ control: 'snap', thought: 4 }, 3, 9)).toThrow(
      /^control snap:4: the model has only 3/,
    );
    expect(() => checkControl(overAll('zero'), 0, 9)).toThrow(/no thoughts/);
    expect(() => checkControl(overAll('none'), 0, 1)).not.toThrow();
  });
});

describe('the names of controls', () => {
  it('are read as they are written', () => {
    for (const control of everyControl(3)) expect(parseControl(showControl(control))).toEqual(control);
    expect(everyControl(2).map(showControl)).toEqual([
      ...CONTROLS,
      ...['zero:1', 'zero:2', 'noise:1', 'noise:2', 'shuffle:1', 'shuffle:2', 'snap:1', 'snap:2'],
    ]);
    expect(everyControl(0)).toEqual([NONE]);
  });

  it.each(['', 'blank', 'snap:0', 'snap:', 'snap:1.5', 'snap:1:2', 'none:1', 'no-latent:2', 'snap:-1'])(
    'do not include %j',
    text => expect(parseControl(text)).toBeUndefined(),
  );
});
