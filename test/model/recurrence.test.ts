// What may be fed back, parallel iterations and the step head against the float64 reference: loss and every gradient,
// of random models, batches and windows. The published form is held against PyTorch too, in test/parity.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Batch } from '../../src/data/batch.ts';
import { parseBatch } from '../../src/eval/parity.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { type Dropout, latentLoss, type Window } from '../../src/model/latent.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { FEEDBACKS, type Recurrence, type Schedule } from '../../src/model/recurrence.ts';
import { stepHeadShapes, stepTokenCount } from '../../src/model/step-head.ts';
import { keepsChannel, keepsWeight, threefry } from '../../src/ops/masks.ts';
import { Tape } from '../../src/tape.ts';
import { type FloatType, read, upload } from '../../src/tensor.ts';
import { testGpu } from '../device.ts';
import { referenceConfig } from '../reference/engine.ts';
import { relativeError } from '../reference/fixtures.ts';
import { type Dropping, lossAndGrads, type ReferenceModel } from '../reference/model.ts';
import { type RowPlan, randomBatch, randomModel, uniform } from '../reference/random.ts';

/** Of a tensor's largest entry, as in test/parity. */
const TOLERANCE = 2e-4;
/** Tokens that the step head reads. */
const STEP_TOKENS = 2;
const LATENT = 4;
/**
 * Where activations and gradients are stored as f16: a rounding, of up to 2^-11, after each op of two layers and up to
 * four passes.
 */
const HALF_TOLERANCE = 1e-2;
const LOSS_SCALE = 2 ** 10;

const gpu = await testGpu();
/** The same adapter without subgroups, as many a GPU is: other kernels of attention. */
const plain = await testGpu();
(plain.features as Set<string>).delete('subgroups');

const published: ModelConfig = {
  vocabSize: 11,
  positions: 40,
  width: 24,
  layers: 2,
  heads: 3,
  inner: 96,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: undefined,
  padTokenId: undefined,
  latentTokenId: LATENT,
  startLatentId: undefined,
  endLatentId: undefined,
  reasoning: undefined,
};

interface Case {
  readonly recurrence: Recurrence;
  readonly window: Window;
  /** Weight of the step head's loss; 0: the model has none. */
  readonly stepWeight: number;
  readonly recompute?: boolean;
  /** The head has weights of its own. */
  readonly ownHead?: true;
  readonly dropout?: Dropout;
  /** How activations are stored; f32 by default. With f16 the loss is scaled, and the gradients are scaled back. */
  readonly storage?: FloatType;
}

interface Result {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float64Array>;
  readonly dispatches: number;
}

/** Loss and gradients of one pass, forward and backward; everything is freed again. */
async function run(
  { recurrence, window, stepWeight, recompute, ownHead, dropout, storage = 'f32' }: Case,
  weights: ReferenceModel['weights'],
  batch: Batch,
  device = gpu,
): Promise<Result> {
  const before = device.pool.memory.live;
  const config = { ...published, recurrence, ...(ownHead && { ownHead }) };
  const parameters = new Parameters(device, config, stepHeadShapes(config, stepWeight > 0 ? STEP_TOKENS : 0));
  const gradients = parameters.another();
  parameters.load(new Map([...weights].map(([name, values]) => [name, Float32Array.from(values)])));
  const tape = new Tape(device);
  for (const name of parameters.names()) tape.watch(parameters.get(name), gradients.get(name));
  const dispatches = device.counts.dispatches;
  const tokens = (batch.steps ?? []).reduce(
    (sum, steps) => sum + stepTokenCount({ steps }, recurrence.schedule),
    0,
  );
  const stepScale = tokens > 0 ? stepWeight / tokens : 0;
  const { loss, release } = latentLoss(tape, new Gpt(parameters, config, storage), batch, {
    window,
    stepScale,
    recompute,
    dropout,
  });
  const scale = storage === 'f16' ? LOSS_SCALE : 1;
  const dLoss = upload(device, Float32Array.of(scale), [1]);
  tape.backward(loss, dLoss);
  release();
  const result = {
    loss: (await read(loss))[0]!,
    gradients: new Map(
      [...(await gradients.values())].map(([name, values]) => [
        name,
        Float64Array.from(values, value => value / scale),
      ]),
    ),
    dispatches: device.counts.dispatches - dispatches,
  };
  for (const owner of [loss, dLoss, parameters, gradients]) owner.free();
  expect(device.pool.memory.live, 'everything freed').toBe(before);
  return result;
}

/** A random model and batch, for the reference and for the engine. */
function problem({ recurrence, stepWeight, ownHead }: Case, plan: readonly RowPlan[], seed: number) {
  const random = uniform(seed);
  const step_tokens = stepWeight > 0 ? STEP_TOKENS : 0;
  const config = {
    ...referenceConfig({ ...published, recurrence, ...(ownHead && { ownHead }) }),
    step_tokens,
  };
  const model = randomModel(config, random);
  const asked = randomBatch(config, plan, random);
  const { steps, ...json } = asked;
  const batch: Batch = { ...parseBatch(JSON.stringify(json), 'batch.json', LATENT), ...(steps && { steps }) };
  return { model, asked, batch };
}

/** The masks of a step, for the reference. */
function droppingOf({ rate, seed, step, rows }: Dropout): Dropping {
  const key = (site: number, b: number) => threefry([seed, step], [site, rows[b]!]);
  const factor = (kept: boolean): number => (kept ? 1 / (1 - rate) : 0);
  return {
    channel: (site, b, position, c) => factor(keepsChannel(key(site, b), position, c, rate)),
    weight: (site, b, query, at, h) =>
      factor(keepsWeight(key(site, b), { query, key: at, h, H: published.heads }, rate)),
  };
}

async function check(what: Case, plan: readonly RowPlan[], seed: number, device = gpu): Promise<void> {
  const { model, asked, batch } = problem(what, plan, seed);
  const masked = what.dropout ? { ...model, dropout: droppingOf(what.dropout) } : model;
  const expected = lossAndGrads(masked, asked, what.window, what.stepWeight);
  const { loss, gradients } = await run(what, model.weights, batch, device);
  const tolerance = what.storage === 'f16' ? HALF_TOLERANCE : TOLERANCE;
  expect(Math.abs(loss - expected.loss) / expected.loss).toBeLessThan(tolerance);
  expect([...gradients.keys()].sort()).toEqual([...expected.grads.keys()].sort());
  for (const [name, gradient] of expected.grads)
    expect(relativeError(gradients.get(name)!, gradient), name).toBeLessThan(tolerance);
}

/** Rows with these numbers of latents. */
const rowsOf = (
  latents: fc.Arbitrary<number>,
  count = { minLength: 1, maxLength: 4 },
): fc.Arbitrary<RowPlan[]> =>
  fc.array(
    fc.record({ question: fc.integer({ min: 0, max: 6 }), latents, text: fc.integer({ min: 1, max: 5 }) }),
    count,
  );
const equalRows = fc.integer({ min: 0, max: 6 }).chain(n => rowsOf(fc.constant(n)));
const schedules = fc.oneof(
  fc.constant('sequential' as const),
  fc.integer({ min: 1, max: 5 }).map((count): Schedule => `jacobi:${count}`),
);
const windows = fc.oneof(fc.constant('full' as const), fc.integer({ min: 1, max: 3 }));
const weights = fc.constantFrom(0, 0.7);

describe.each(FEEDBACKS)('%s is fed back', feedback => {
  test.each([1, 2, 'full'] as const)('one after another, window %s', async window => {
    const row = { question: 3, latents: 3, text: 2 };
    const plan = [row, { ...row, question: 5 }, { ...row, text: 4 }];
    await check({ recurrence: { feedback, schedule: 'sequential' }, window, stepWeight: 0 }, plan, 11);
  });

  test.each(['jacobi:1', 'jacobi:2', 'jacobi:3'] as const)('%s', async schedule => {
    const row = { question: 3, latents: 4, text: 2 };
    // A pass of eight rows may be bound wherever it lies, so nothing is copied to its place.
    for (const rows of [3, 8])
      for (const window of [1, 2, 'full'] as const) {
        const plan = Array.from({ length: rows }, (_, b) => ({ ...row, question: 1 + ((3 * b) % 5) }));
        await check(
          { recurrence: { feedback, schedule }, window, stepWeight: rows === 3 ? 0.7 : 0 },
          plan,
          12,
        );
      }
  });

  test.each(['sequential', 'jacobi:2'] as const)('to a model with a head of its own, %s', async schedule => {
    const row = { question: 3, latents: 3, text: 2 };
    const plan = [row, { ...row, question: 5 }];
    for (const window of [2, 'full'] as const)
      await check({ recurrence: { feedback, schedule }, window, stepWeight: 0.7, ownHead: true }, plan, 13);
  });

  test('any schedule, any window, with and without a step head', async () => {
    const property = fc.asyncProperty(
      equalRows,
      schedules,
      windows,
      weights,
      fc.nat(),
      (plan, schedule, window, stepWeight, seed) =>
        check({ recurrence: { feedback, schedule }, window, stepWeight }, plan, seed),
    );
    await fc.assert(property, { seed: 1, numRuns: 12 });
  });

  test('mixed latent counts', async () => {
    const mixed = rowsOf(fc.integer({ min: 0, max: 4 }));
    const property = fc.asyncProperty(
      mixed,
      schedules,
      weights,
      fc.nat(),
      (plan, schedule, stepWeight, seed) =>
        check({ recurrence: { feedback, schedule }, window: 'full', stepWeight }, plan, seed),
    );
    await fc.assert(property, { seed: 2, numRuns: 6 });
  });
});

describe('the hidden state is fed back scaled', () => {
  const scaled = (scale: number, schedule: Schedule, window: Window, stepWeight: number): Case => {
    return { recurrence: { feedback: 'hidden', schedule, scale }, window, stepWeight };
  };

  test('any schedule, any window, with and without a step head', async () => {
    const property = fc.asyncProperty(
      equalRows,
      fc.constantFrom(0.0625, 0.7, 3),
      schedules,
      windows,
      weights,
      fc.nat(),
      (plan, scale, schedule, window, stepWeight, seed) =>
        check(scaled(scale, schedule, window, stepWeight), plan, seed),
    );
    await fc.assert(property, { seed: 1, numRuns: 10 });
  });

  test('by 1 it is the published form bit for bit', async () => {
    const row = { question: 4, latents: 3, text: 3 };
    const { model, batch } = problem(scaled(1, 'sequential', 2, 0), [row, { ...row, question: 2 }], 3);
    const one = await run(scaled(1, 'sequential', 2, 0), model.weights, batch);
    const recurrence = { feedback: 'hidden', schedule: 'sequential' } as const;
    expect(one).toEqual(await run({ recurrence, window: 2, stepWeight: 0 }, model.weights, batch));
    const half = await run(scaled(0.5, 'sequential', 2, 0), model.weights, batch);
    expect(half.loss).not.toBe(one.loss);
  });
});

describe('parallel iterations', () => {
  const row = { question: 4, latents: 4, text: 3 };
  const plan = [row, { ...row, question: 2 }];
  const parallel = (schedule: Schedule, window: Window = 'full'): Case => {
    return { recurrence: { feedback: 'hidden', schedule }, window, stepWeight: 0 };
  };
  const { model, batch } = problem(parallel('sequential'), plan, 3);
  const values = ({ loss, gradients }: Result) => ({ loss, gradients });

  test('without subgroups', async () => {
    for (const window of [1, 2, 'full'] as const) await check(parallel('jacobi:3', window), plan, 4, plain);
  });

  test('as many as latents, or more, are the sequential form bit for bit, in every window', async () => {
    for (const window of [1, 2, 'full'] as const) {
      const sequential = values(await run(parallel('sequential', window), model.weights, batch));
      for (const schedule of ['jacobi:4', 'jacobi:9'] as const)
        expect(values(await run(parallel(schedule, window), model.weights, batch)), schedule).toEqual(
          sequential,
        );
    }
  });

  test('a window of as many iterations, or more, is a full one, run after run', async () => {
    const full = values(await run(parallel('jacobi:3'), model.weights, batch));
    for (const window of ['full', 3, 7] as const)
      expect(values(await run(parallel('jacobi:3', window), model.weights, batch))).toEqual(full);
    const cut = values(await run(parallel('jacobi:3', 1), model.weights, batch));
    expect(cut.loss).toBe(full.loss);
    expect(cut.gradients).not.toEqual(full.gradients);
  });

  test('fewer take fewer dispatches', async () => {
    const dispatches = async (schedule: Schedule) =>
      (await run(parallel(schedule), model.weights, batch)).dispatches;
    const all = [
      await dispatches('jacobi:1'),
      await dispatches('jacobi:2'),
      await dispatches('jacobi:3'),
      await dispatches('sequential'),
    ];
    expect(all).toEqual([...all].sort((a, b) => a - b));
    expect(all[0]!).toBeLessThan(all[3]! / 2);
  });
});

describe('recomputed blocks', () => {
  const hidden = (schedule: Schedule, window: Window, recompute: boolean): Case => {
    return { recurrence: { feedback: 'hidden', schedule }, window, stepWeight: 0, recompute };
  };
  const row = { question: 4, text: 3 };
  const planOf = (latents: number) => [0, 2, 1].map(more => ({ ...row, question: 4 + more, latents }));
  const inBlock = (name: string): boolean => /\.(h\.\d+|ln_f)\./.test(name);

  test('give the reference its gradients in any schedule and window', async () => {
    const property = fc.asyncProperty(
      equalRows,
      schedules,
      windows,
      fc.nat(),
      (plan, schedule, window, seed) => check(hidden(schedule, window, true), plan, seed),
    );
    await fc.assert(property, { seed: 5, numRuns: 16 });
  });

  test.each(['full', 1, 2] as const)('change no bit but of sums over passes, window %s', async window => {
    for (const latents of [0, 1, 4]) {
      const { model, batch } = problem(hidden('sequential', window, false), planOf(latents), 6);
      const kept = await run(hidden('sequential', window, false), model.weights, batch);
      const again = await run(hidden('sequential', window, true), model.weights, batch);
      expect(again.loss).toBe(kept.loss);
      expect(again.dispatches).toBeGreaterThan(kept.dispatches);
      for (const [name, gradient] of kept.gradients) {
        const other = again.gradients.get(name)!;
        if (latents === 0 || !inBlock(name)) expect(other, name).toEqual(gradient);
        else expect(relativeError(other, gradient), name).toBeLessThan(1e-5);
      }
    }
  });

  test('take less memory the more layers there are', async () => {
    const peak = async (latents: number, recompute: boolean): Promise<number> => {
      const { model, batch } = problem(hidden('sequential', 'full', recompute), planOf(latents), 7);
      gpu.pool.resetPeak();
      await run(hidden('sequential', 'full', recompute), model.weights, batch);
      return gpu.pool.memory.peak;
    };
    for (const latents of [0, 3]) expect(await peak(latents, true)).toBeLessThan(await peak(latents, false));
  });
});

describe('dropout', () => {
  const of = (schedule: Schedule, window: Window, recompute: boolean, rows: readonly RowPlan[]): Case => {
    const dropout = { rate: 0.3, seed: 7, step: 2, rows: rows.map((_, b) => 3 * b + 1) };
    return { recurrence: { feedback: 'hidden', schedule }, window, stepWeight: 0, recompute, dropout };
  };

  test('gives the reference its gradients in any schedule and window, recomputed or not', async () => {
    const property = fc.asyncProperty(
      equalRows,
      schedules,
      windows,
      fc.boolean(),
      fc.nat(),
      (plan, schedule, window, recompute, seed) => check(of(schedule, window, recompute, plan), plan, seed),
    );
    await fc.assert(property, { seed: 8, numRuns: 20 });
  });

  test('with mixed latent counts, which pad rows on the left', async () => {
    const plan = [0, 3, 1, 2].map(latents => ({ question: 2 + latents, latents, text: 2 }));
    for (const recompute of [false, true]) await check(of('sequential', 'full', recompute, plan), plan, 9);
  });

  test('changes no bit where blocks run again and rows have one pass', async () => {
    const plan = [2, 4, 3].map(question => ({ question, latents: 0, text: 3 }));
    const [kept, again] = [of('sequential', 'full', false, plan), of('sequential', 'full', true, plan)];
    const { model, batch } = problem(kept, plan, 10);
    const expected = await run(kept, model.weights, batch);
    expect({ ...(await run(again, model.weights, batch)), dispatches: 0 }).toEqual({
      ...expected,
      dispatches: 0,
    });
  });
});

describe.skipIf(!gpu.features.has('shader-f16'))('stored as f16 (needs an adapter with shader-f16)', () => {
  // An odd number of rows cannot be bound wherever a pass begins, eight can.
  const plan = (rows: number) =>
    Array.from({ length: rows }, (_, b) => ({ question: 2 + ((3 * b) % 4), latents: 3, text: 1 + (b % 3) }));
  const what = (feedback: Recurrence['feedback'], schedule: Schedule, more: Partial<Case> = {}): Case => {
    return { recurrence: { feedback, schedule }, window: 'full', stepWeight: 0, storage: 'f16', ...more };
  };

  test.each(FEEDBACKS)('%s is fed back', async feedback => {
    await check(what(feedback, 'sequential', { window: 2 }), plan(3), 11);
    await check(what(feedback, 'jacobi:2'), plan(8), 12);
  });

  test('a step head, recomputed blocks, dropout', async () => {
    await check(what('hidden', 'sequential', { stepWeight: 0.7 }), plan(8), 13);
    await check(what('hidden', 'sequential', { recompute: true }), plan(3), 14);
    const dropout = { rate: 0.2, seed: 5, step: 3, rows: [0, 1, 2] };
    await check(what('hidden', 'sequential', { dropout }), plan(3), 15);
  });

  test('gives the same bits with blocks kept or run again', async () => {
    const kept = what('hidden', 'sequential');
    const { model, batch } = problem(kept, plan(8), 16);
    const { loss, gradients } = await run(kept, model.weights, batch);
    const again = await run({ ...kept, recompute: true }, model.weights, batch);
    expect(again.loss).toBe(loss);
    expect((await run(kept, model.weights, batch)).gradients).toEqual(gradients);
  });
});
