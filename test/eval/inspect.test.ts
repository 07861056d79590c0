// Looking inside a model: prompts and figures against what is written by hand, or computed another way.
import { describe, expect, it } from 'vitest';
import { collatePrompts, type Prompt } from '../../src/data/batch.ts';
import type { CurriculumOptions } from '../../src/data/curriculum.ts';
import { prosqaMiniSample, prosqaMiniWords } from '../../src/data/prosqa-mini.ts';
import type { Sample } from '../../src/data/sample.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { evaluate } from '../../src/eval/evaluate.ts';
import { generate } from '../../src/eval/generate.ts';
import { evaluateHalting, type HaltRule } from '../../src/eval/halt.ts';
import { inspect } from '../../src/eval/inspect.ts';
import { nodeShares } from '../../src/eval/nodes.ts';
import { evaluationReport, reportText } from '../../src/eval/report.ts';
import { searchOf } from '../../src/eval/search.ts';
import { divergence, logSoftmax, nameValues, nextTokens, speechAfter } from '../../src/eval/speech.ts';
import { think, thoughtEntropy, thoughtNorms } from '../../src/eval/states.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { configFor } from '../../src/train/fresh-model.ts';
import { testGpu } from '../device.ts';

const gpu = await testGpu();
const graphs = { nodes: 9, hops: [2, 2], maxEdges: null } as const;
const tokenizer = WordTokenizer.fromWords(prosqaMiniWords(graphs));
const samples = Array.from({ length: 7 }, (_, i) => prosqaMiniSample(3, i, graphs));
const config = configFor(tokenizer, { width: 24, heads: 3, layers: 2 }, 64);
const weights = initialWeights(config, 'matched', 4);
const parameters = new Parameters(gpu, config);
parameters.load(weights);
const model = new Gpt(parameters);
const curriculum: CurriculumOptions = {
  ...{ latentsPerStep: 1, maxLatentStage: 2, padLatents: true },
  endMarker: 'latents',
};
const asking = { mode: 'coconut', stage: 2, curriculum } as const;
const batch = 4;

/** Probabilities of the token after a prompt, by generation. */
async function after(prompt: Prompt): Promise<Float64Array> {
  const options = { maxTokens: 1, eos: -1, logits: true };
  const { logits } = await generate(model, collatePrompts([prompt], tokenizer.pad), options);
  return logSoftmax(logits[0]![0]!).map(Math.exp);
}

describe('made to speak', () => {
  const spoken = (sample: Sample, stage: number, words = tokenizer) => {
    const { prompt, asks, depth } = speechAfter(sample, words, stage, curriculum);
    return {
      text: words.decode(prompt.tokens).replace(words.decode(words.encode(sample.question)), 'Q'),
      asks,
      depth,
    };
  };

  it('in words: the next step, or the answer where no step is left', () => {
    expect([0, 1, 2, 3].map(stage => spoken(samples[0]!, stage))).toEqual([
      { text: 'Q <|start-latent|>', asks: 'step', depth: 1 },
      { text: 'Q <|start-latent|> <|latent|> <|end-latent|>', asks: 'step', depth: 2 },
      { text: 'Q <|start-latent|> <|latent|> <|latent|> <|end-latent|> ###', asks: 'answer', depth: 0 },
      { text: 'Q <|start-latent|> <|latent|> <|latent|> <|end-latent|> ###', asks: 'answer', depth: 0 },
    ]);
  });

  it('in sentences: the child of the first step, then where a step departs from, then what the answer says', () => {
    const sample: Sample = {
      question: 'Q',
      steps: ['Tom is a bompus.', 'Every bompus is a dumpus.', 'Every dumpus is a gorpus.'],
      answer: 'Tom is a gorpus.',
    };
    const words = WordTokenizer.fromSamples([sample]);
    expect([0, 1, 2, 3].map(stage => spoken(sample, stage, words))).toEqual([
      { text: 'Q <|start-latent|> Tom is a', asks: 'step', depth: 1 },
      { text: 'Q <|start-latent|> <|latent|> <|end-latent|> Every', asks: 'step', depth: 1 },
      { text: 'Q <|start-latent|> <|latent|> <|latent|> <|end-latent|> Every', asks: 'step', depth: 2 },
      // Past the last stage no step is written, whatever the sample has.
      {
        text: 'Q <|start-latent|> <|latent|> <|latent|> <|end-latent|> ### Tom is a',
        asks: 'answer',
        depth: 0,
      },
    ]);
  });

  it('gives a name of several tokens the product of their probabilities', async () => {
    const speech = speechAfter(samples[0]!, tokenizer, 1, curriculum);
    const next = await nextTokens(model, tokenizer, [speech.prompt], { batch });
    const names = [['3', '4 5', '4 6', '4 5 7']];
    const [values] = await nameValues(model, tokenizer, [speech], next, names, { batch });
    const said = async (...tokens: string[]) =>
      after({
        ...speech.prompt,
        tokens: [...speech.prompt.tokens, ...tokens.map(word => tokenizer.id(word)!)],
      });
    const [p, p4, p45] = [await said(), await said('4'), await said('4', '5')];
    const id = (word: string): number => tokenizer.id(word)!;
    const expected = [
      p[id('3')]!,
      p[id('4')]! * p4[id('5')]!,
      p[id('4')]! * p4[id('6')]!,
      p[id('4')]! * p4[id('5')]! * p45[id('7')]!,
    ];
    for (const [i, value] of values!.entries()) expect(value / expected[i]!).toBeCloseTo(1, 4);
  });

  it('measures distances between distributions in nats', () => {
    const [p, q] = [
      [0.5, 0.5],
      [0.25, 0.75],
    ].map(row => Float64Array.from(row, Math.log));
    expect(divergence(p!, q!)).toBeCloseTo(0.5 * Math.log(2) + 0.5 * Math.log(2 / 3), 12);
    expect(divergence(q!, q!)).toBe(0);
    expect(divergence(Float64Array.of(0, Number.NEGATIVE_INFINITY), p!)).toBeCloseTo(Math.log(2), 12);
  });
});

describe('shares of the nodes', () => {
  it('are means over samples, by number of thoughts and by what is asked', () => {
    // 0 → 1 → 3 (target), 0 → 2, 4 apart
    const search = searchOf({
      ...{ question: '', steps: ['b', 'd'], answer: 'd' },
      graph: {
        symbols: ['a', 'b', 'c', 'd', 'e'],
        edges: [
          [0, 1],
          [1, 3],
          [0, 2],
        ],
        ...{ root: 0, target: 3, distractor: 4 },
      },
    })!;
    const values = (...list: number[]) => Float64Array.from(list);
    const [first, second, answer] = nodeShares([
      { search, thoughts: 2, asks: 'answer', depth: 2, values: values(0, 0, 0, 1, 0) },
      { search, thoughts: 0, asks: 'step', depth: 1, values: values(0.1, 0.4, 0.2, 0.05, 0.05) },
      { search, thoughts: 0, asks: 'step', depth: 1, values: values(0, 0, 0.8, 0, 0.2) },
      { search, thoughts: 1, asks: 'step', depth: 2, values: values(0, 0.5, 0, 0.25, 0) },
    ]);
    const close = (got: unknown, expected: unknown) =>
      expect(JSON.parse(JSON.stringify(got, (_, x) => (typeof x === 'number' ? +x.toFixed(9) : x)))).toEqual(
        expected,
      );
    close(first, {
      ...{ thoughts: 0, asks: 'step', samples: 2, depth: 1, nodes: 0.9, reachable: 0.725, frontier: 0.7 },
      ...{ optimal: 0.2, top: [0.6, 0.7, 0.7], chance: { reachable: 0.6, frontier: 0.4, optimal: 0.2 } },
    });
    close(second, {
      ...{ thoughts: 1, asks: 'step', samples: 1, depth: 2, nodes: 0.75, reachable: 0.75, frontier: 0.25 },
      ...{ optimal: 0.25, top: [0.25, 0.25, 0.25], chance: { reachable: 0.6, frontier: 0.2, optimal: 0.2 } },
    });
    expect(answer).toMatchObject({ thoughts: 2, asks: 'answer', optimal: 1 });
  });
});

describe('thoughts as vectors and as words', () => {
  it('have lengths, cosines and entropies as computed from their parts', async () => {
    const prompts = samples.map(sample => speechAfter(sample, tokenizer, 2, curriculum).prompt);
    const thinking = await think(model, tokenizer, prompts, batch);
    const table = weights.get('transformer.wte.weight')!;
    const row = (id: number): number[] => [...table.slice(id * config.width, (id + 1) * config.width)];
    // The head is the tied embedding: a state's words are the softmax of its products with the rows.
    const logits = Float32Array.from({ length: tokenizer.size }, (_, id) =>
      row(id).reduce((sum, x, c) => sum + x * thinking[2]!.states[1]![c]!, 0),
    );
    const words = logSoftmax(logits).map(Math.exp);
    for (const [id, p] of thinking[2]!.words[1]!.entries()) expect(p).toBeCloseTo(words[id]!, 5);

    const norms = await thoughtNorms(model, tokenizer, samples, thinking, 1);
    const second = samples.map((sample, i) => {
      const state = [...thinking[i]!.states[1]!];
      const step = row(tokenizer.id(sample.steps[1]!)!);
      const dot = state.reduce((sum, x, c) => sum + x * step[c]!, 0);
      return { norm: Math.hypot(...state), cosine: dot / Math.hypot(...state) / Math.hypot(...step) };
    });
    const mean = (values: number[]): number => values.reduce((a, x) => a + x, 0) / values.length;
    expect(norms.thoughts).toHaveLength(2);
    expect(norms.thoughts[1]!.norm).toBeCloseTo(mean(second.map(({ norm }) => norm)), 5);
    expect(norms.thoughts[1]!.cosine).toBeCloseTo(mean(second.map(({ cosine }) => cosine)), 5);
    // Two thoughts a step: the second stands for the step's second token, which these steps have not.
    const paired = await thoughtNorms(model, tokenizer, samples, thinking, 2);
    expect(paired.thoughts[0]!.cosine).toBe(norms.thoughts[0]!.cosine);
    expect(paired.thoughts[1]!.cosine).toBeNull();

    const even = {
      states: [],
      words: [Float32Array.of(0.25, 0.25, 0.25, 0.25), Float32Array.of(0, 1, 0, 0)],
    };
    expect(thoughtEntropy([even])).toEqual([
      { thought: 1, nats: expect.closeTo(Math.log(4), 6), peak: 0.25 },
      { thought: 2, nats: 0, peak: 1 },
    ]);
  });
});

describe('an inspection', () => {
  it('speaks after every number of thoughts; after all of them it is the ordinary evaluation', async () => {
    const whole = await evaluate(model, tokenizer, samples, { ...asking, batch });
    const { inspection, rows } = await inspect(model, tokenizer, samples, asking, whole, { batch });
    expect(inspection.forced.map(({ thoughts }) => thoughts)).toEqual([0, 1, 2]);
    for (const [stage, { exactMatch, classes }] of inspection.forced.entries()) {
      expect(exactMatch).toBe(
        (await evaluate(model, tokenizer, samples, { ...asking, stage, batch })).exactMatch,
      );
      expect(Object.values(classes!).reduce((a, b) => a + b)).toBe(samples.length);
    }
    expect(inspection.forced.at(-1)).toEqual({
      thoughts: 2,
      exactMatch: whole.exactMatch,
      classes: inspection.classes,
    });

    expect(inspection.nodes.map(({ thoughts, asks }) => [thoughts, asks])).toEqual([
      [0, 'step'],
      [1, 'step'],
      [2, 'answer'],
    ]);
    for (const { values } of rows)
      for (const [stage, { values: nodes, search }] of values.entries()) {
        const sum = nodes.reduce((a, x) => a + x, 0);
        expect(sum).toBeLessThanOrEqual(1 + 1e-9);
        expect(sum).toBeGreaterThan(0);
        const sample = samples[rows.findIndex(row => row.values === values)]!;
        const p = await after(speechAfter(sample, tokenizer, stage, curriculum).prompt);
        const node = stage + 1;
        expect(nodes[node]).toBeCloseTo(p[tokenizer.id(search.names[node]!)!]!, 5);
      }
    expect(inspection.snapKl.map(({ thought }) => thought)).toEqual([1, 2]);
    for (const { kl } of inspection.snapKl) expect(kl).toBeGreaterThan(1e-6);
    expect(inspection.entropy).toHaveLength(2);
  });

  it('of a mode that never writes a step speaks after all thoughts alone', async () => {
    const asked = { ...asking, mode: 'no-curriculum', stage: 0 } as const;
    const whole = await evaluate(model, tokenizer, samples, { ...asked, batch });
    const { inspection, rows } = await inspect(model, tokenizer, samples, asked, whole, { batch });
    // Its rows are those of a coconut model past its last stage.
    const past = { ...asking, stage: 3 } as const;
    const { inspection: expected } = await inspect(model, tokenizer, samples, past, whole, { batch });
    expect(inspection.forced).toEqual([
      { thoughts: 2, exactMatch: whole.exactMatch, classes: inspection.classes },
    ]);
    expect(inspection.nodes).toEqual(expected.nodes.filter(({ asks }) => asks === 'answer'));
    expect(inspection.snapKl).toEqual([1, 2].map(thought => ({ thought, kl: expect.any(Number) })));
    expect(rows.map(({ values }) => values.length)).toEqual(samples.map(() => 1));
  });

  it('of a model without thoughts has the classes alone', async () => {
    const asked = { ...asking, mode: 'cot' } as const;
    const whole = await evaluate(model, tokenizer, samples, { ...asked, batch });
    const { inspection, rows } = await inspect(model, tokenizer, samples, asked, whole, { batch });
    expect(inspection).toMatchObject({ forced: [], nodes: [], norms: null, entropy: [], snapKl: [] });
    expect(inspection.classes).not.toBeNull();
    expect(rows).toHaveLength(samples.length);
  });

  it('frees all that it makes', async () => {
    const before = gpu.pool.memory.live;
    const whole = await evaluate(model, tokenizer, samples, { ...asking, batch });
    await inspect(model, tokenizer, samples, asking, whole, { batch });
    await evaluateHalting(model, tokenizer, samples, { ...asked('state', 0.1), maxThoughts: 2 });
    expect(gpu.pool.memory.live).toBe(before);
  });
});

const asked = (rule: HaltRule, threshold: number) =>
  ({ rule, threshold, maxThoughts: 4, endMarker: 'latents', batch }) as const;

describe('thoughts by need', () => {
  it.each(['state', 'answer'] as const)(
    'by %s: never at threshold 0, at once at infinity, fewer in between',
    async rule => {
      const never = await evaluateHalting(model, tokenizer, samples, asked(rule, 0));
      expect(never).toMatchObject({ rule, meanThoughts: 4, counts: [0, 0, 0, 0, 7] });
      expect(never.fixed.map(({ thoughts }) => thoughts)).toEqual([0, 1, 2, 3, 4]);
      expect(never.exactMatch).toBe(never.fixed[4]!.exactMatch);
      const atOnce = await evaluateHalting(model, tokenizer, samples, asked(rule, Number.POSITIVE_INFINITY));
      expect(atOnce).toMatchObject({ meanThoughts: 1, counts: [0, 7, 0, 0, 0] });
      expect(atOnce.exactMatch).toBe(atOnce.fixed[1]!.exactMatch);

      const { curve } = never;
      expect(curve[0]).toMatchObject({ threshold: 0, meanThoughts: 4 });
      expect(curve.at(-1)!.meanThoughts).toBe(1);
      for (const [i, point] of curve.slice(1).entries()) {
        expect(point.threshold).toBeGreaterThan(curve[i]!.threshold);
        expect(point.meanThoughts).toBeLessThanOrEqual(curve[i]!.meanThoughts);
      }
      const middle = curve[Math.floor(curve.length / 2)]!;
      const there = await evaluateHalting(model, tokenizer, samples, asked(rule, middle.threshold));
      expect(there).toMatchObject(middle);
      expect(there.counts.reduce((sum, count, k) => sum + k * count, 0) / samples.length).toBeCloseTo(
        middle.meanThoughts,
        12,
      );
    },
  );

  it('stops where the fed-back state changes by less than the threshold', async () => {
    // By hand: changes of one row, and a threshold just above one of them.
    const [sample] = samples;
    const row = [sample!];
    const prompt = speechAfter(sample!, tokenizer, 9, { ...curriculum, maxLatentStage: 4 }).prompt;
    const [thinking] = await think(model, tokenizer, [prompt], 1);
    const { states } = thinking!;
    const changes = [0, 1, 2].map(
      k => Math.hypot(...states[k + 1]!.map((x, c) => x - states[k]![c]!)) / Math.hypot(...states[k]!),
    );
    for (const [k, change] of changes.entries()) {
      const first = changes.findIndex(other => other <= change);
      const { meanThoughts } = await evaluateHalting(model, tokenizer, row, asked('state', change * 1.0001));
      expect(meanThoughts, `${k}`).toBe(first + 1);
    }
  });

  it('refuses more thoughts than the model has positions for', async () => {
    const many = { ...asked('state', 0.1), maxThoughts: 60 };
    await expect(evaluateHalting(model, tokenizer, samples, many)).rejects.toThrow(
      /^60 thoughts make rows of \d+ tokens/,
    );
  });
});

describe('the report', () => {
  it('has every part that is asked for, as an object and as text', async () => {
    const options = { ...asking, batch, seed: 0, inspect: true, controls: 'all' } as const;
    const halt = { rule: 'answer', threshold: 0.1, maxThoughts: 3 } as const;
    const report = await evaluationReport(model, tokenizer, samples, { ...options, halt });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report); // No NaN, no Infinity.
    expect(Object.keys(report)).toEqual([
      ...['mode', 'samples', 'exactMatch', 'exactMatchNoLatents', 'tokensPerSample', 'secondsPerSample'],
      ...['controls', 'inspect', 'halt'],
    ]);
    expect(report.controls).toHaveLength(6 + 4 * 2);
    expect(report.controls[0]).toEqual({ control: 'none', thought: null, exactMatch: report.exactMatch });
    expect(report.controls[1]!.exactMatch).toBe(report.exactMatchNoLatents);
    expect(report.halt).toMatchObject({ rule: 'answer', threshold: 0.1, maxThoughts: 3 });
    const text = reportText(report);
    for (const line of [
      /^control +all +thought 1 +thought 2$/m,
      /^snap +[01]\.\d{3} +[01]\.\d{3} +[01]\.\d{3}$/m,
    ])
      expect(text).toMatch(line);
    expect(text).toMatch(/^thoughts, then text +exact match +correct-path/m);
    expect(text).toMatch(/^halt by answer below 0\.1: [\d.]+ of 3 thoughts/m);
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('has nothing to control in a model without thoughts', async () => {
    const options = { ...asking, mode: 'cot', batch, seed: 0, inspect: false, halt: undefined } as const;
    const { controls } = await evaluationReport(model, tokenizer, samples, { ...options, controls: 'all' });
    expect(controls.map(({ control }) => control)).toEqual(['none']);
    const named = { ...options, controls: [{ control: 'zero', thought: null }] } as const;
    await expect(evaluationReport(model, tokenizer, samples, named)).rejects.toThrow(/no thoughts/);
  });
});
