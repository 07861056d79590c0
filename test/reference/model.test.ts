// The float64 reference against PyTorch's float64 gradients, against finite differences, and against itself.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latentCounts, parityFixtures, readBatch, readModel, relativeError, worstError } from './fixtures.ts';
import {
  backward,
  forward,
  lossAndGrads,
  lossOf,
  type ReferenceBatch,
  type ReferenceConfig,
  type ReferenceModel,
} from './model.ts';
import { randomBatch, randomModel, uniform } from './random.ts';
import { readSafetensors } from './safetensors.ts';

const fixtures = parityFixtures();

describe('against PyTorch in float64', () => {
  const cases = fixtures.flatMap(fixture =>
    [...fixture.expected].map(([window, file]) => ({ fixture, window, file, name: fixture.name })),
  );
  test('the fixtures cover what they should', () => {
    const counts = fixtures.map(fixture => latentCounts(readModel(fixture), readBatch(fixture)));
    expect(counts.some(rows => new Set(rows).size > 2 && Math.min(...rows) === 0)).toBe(true); // mixed
    expect(counts.some(rows => Math.max(...rows) === 0)).toBe(true); // no latents
    expect(new Set(cases.map(each => each.window))).toEqual(new Set(['full', '1', '2', '3', '4']));
  });

  test.each(cases)('$name, window $window', ({ fixture, window, file }) => {
    const { loss, grads } = lossAndGrads(
      readModel(fixture),
      readBatch(fixture),
      window === 'full' ? window : Number(window),
    );
    const actual = new Map<string, Float64Array>([['loss', Float64Array.of(loss)]]);
    for (const [name, grad] of grads) actual.set('grad.' + name, grad);
    const expected = readSafetensors(file);
    expect([...actual.keys()]).toEqual([...expected.keys()]);
    // Expected values in F32 are rounded by up to 2^-24 of themselves.
    const tolerance = expected.get('loss')!.dtype === 'F64' ? 1e-11 : 2 ** -24;
    expect(worstError(actual, expected).error).toBeLessThan(tolerance);
  });

  test('every window of a fixture has gradients of its own, so the parity test can tell them apart', () => {
    for (const { name, expected } of fixtures) {
      const grads = [...expected.values()].map(file => readSafetensors(file));
      for (let i = 1; i < grads.length; i++) {
        const previous = new Map([...grads[i - 1]!].map(([key, tensor]) => [key, tensor.data]));
        expect(worstError(previous, grads[i]!).error, `${name} ${[...expected.keys()][i]}`).toBeGreaterThan(
          5e-3,
        );
      }
    }
  });
});

/** What a small model and batch are built from: printed short when a property fails. */
const plans = fc.record({
  seed: fc.integer(),
  n_layer: fc.integer({ min: 1, max: 2 }),
  // Width 4 at least: LayerNorm over two or three entries is close to a sign function, too curved to difference.
  heads: fc.constantFrom([1, 5], [2, 2], [2, 3], [4, 1]),
  latents: fc.integer({ min: 0, max: 4 }),
  rows: fc.array(
    fc.record({
      question: fc.integer({ min: 0, max: 3 }),
      latents: fc.integer({ min: 0, max: 4 }),
      text: fc.integer({ min: 1, max: 3 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});
type Plan = typeof plans extends fc.Arbitrary<infer P> ? P : never;

/** Each row has its own number of latents, or all have the plan's. */
function build(
  plan: Plan,
  counts: 'mixed' | 'equal',
  change: Partial<ReferenceConfig> = {},
): { model: ReferenceModel; batch: ReferenceBatch } {
  const [H, D] = plan.heads as [number, number];
  const config: ReferenceConfig = {
    n_layer: plan.n_layer,
    n_head: H,
    n_embd: H * D,
    vocab_size: 7,
    n_positions: 16,
    layer_norm_epsilon: 0.1,
    latent_token_id: 3,
    ...change,
  };
  const random = uniform(plan.seed);
  const rows = plan.rows.map(row => ({ ...row, latents: counts === 'equal' ? plan.latents : row.latents }));
  return { model: randomModel(config, random), batch: randomBatch(config, rows, random) };
}

/** Checks some entries of every gradient by central differences, holding the window's constants still. */
function checkByDifferences(
  model: ReferenceModel,
  batch: ReferenceBatch,
  window: number | 'full',
  stepWeight = 0,
): void {
  const trace = forward(model, batch);
  const grads = backward(model, batch, trace, window, stepWeight);
  const step = 1e-5;
  for (const [name, weight] of model.weights) {
    const picks = [0, 1, 2, 3].map(i => Math.floor(((i + 0.5) * weight.length) / 4));
    const numeric = picks.map(index => {
      const original = weight[index]!;
      const lossAt = (value: number) => {
        weight[index] = value;
        return lossOf(model, batch, forward(model, batch, { trace, window }), stepWeight);
      };
      const slope = (lossAt(original + step) - lossAt(original - step)) / (2 * step);
      weight[index] = original;
      return slope;
    });
    picks.forEach((index, i) => {
      expect(Math.abs(grads.get(name)![index]! - numeric[i]!), `${name}[${index}]`).toBeLessThan(1e-6);
    });
  }
}

describe('against finite differences', () => {
  test('full, with mixed latent counts', () => {
    fc.assert(
      fc.property(plans, plan => {
        const { model, batch } = build(plan, 'mixed');
        checkByDifferences(model, batch, 'full');
      }),
      { seed: 1, numRuns: 25 },
    );
  });

  test('full, with a head that has weights of its own', () => {
    fc.assert(
      fc.property(plans, plan => {
        const { model, batch } = build(plan, 'mixed', { tie_word_embeddings: false });
        checkByDifferences(model, batch, 'full');
      }),
      { seed: 4, numRuns: 10 },
    );
  });

  test('truncated, the constants held still', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 4 }), (plan, window) => {
        const { model, batch } = build(plan, 'equal');
        checkByDifferences(model, batch, window);
      }),
      { seed: 2, numRuns: 25 },
    );
  });
});

describe('other recurrences against finite differences', () => {
  const forms = ['hidden', 'linear', 'mlp', 'soft', 'token'] as const;
  const schedules = fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined });
  const windows = fc.oneof(fc.constant('full' as const), fc.integer({ min: 1, max: 3 }));
  test.each(forms)('%s is fed back', feedback => {
    fc.assert(
      fc.property(plans, schedules, windows, (plan, iterations, window) => {
        const feedback_scale = feedback === 'hidden' && plan.seed % 3 === 0 ? 0.4 : 1;
        const { model, batch } = build(plan, 'equal', {
          ...{ feedback, feedback_scale, iterations, step_tokens: 2 },
        });
        checkByDifferences(model, batch, window, plan.seed % 2 === 0 ? 0 : 0.7);
      }),
      { seed: 6, numRuns: 15 },
    );
  });

  test('mixed latent counts in parallel, full', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 5 }), (plan, iterations) => {
        const { model, batch } = build(plan, 'mixed', { iterations, step_tokens: 2 });
        checkByDifferences(model, batch, 'full', 0.7);
      }),
      { seed: 7, numRuns: 10 },
    );
  });
});

describe('parallel iterations', () => {
  const change = (model: ReferenceModel, recurrence: Partial<ReferenceConfig>): ReferenceModel => {
    return { ...model, config: { ...model.config, ...recurrence } };
  };
  function expectSame(a: ReferenceModel, b: ReferenceModel, batch: ReferenceBatch): void {
    const [one, other] = [lossAndGrads(a, batch), lossAndGrads(b, batch)];
    expect(Math.abs(one.loss - other.loss)).toBeLessThan(1e-12);
    for (const [name, grad] of one.grads)
      expect(relativeError(grad, other.grads.get(name)!), name).toBeLessThan(1e-10);
  }

  test('as many as latents, or more, are the same as one latent after another', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 0, max: 2 }), (plan, more) => {
        const { model, batch } = build(plan, 'mixed');
        const iterations = Math.max(1, ...plan.rows.map(row => row.latents)) + more;
        expectSame(change(model, { iterations, complete: true }), model, batch);
      }),
      { seed: 8, numRuns: 15 },
    );
  });

  test('latents whose input cannot have changed need not be run again', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 4 }), (plan, iterations) => {
        const { model, batch } = build(plan, 'mixed');
        expectSame(change(model, { iterations, complete: true }), change(model, { iterations }), batch);
      }),
      { seed: 9, numRuns: 15 },
    );
  });

  test('fewer are something else', () => {
    const rows = [{ question: 2, latents: 3, text: 2 }];
    const { model, batch } = build({ seed: 1, n_layer: 1, heads: [1, 5], latents: 3, rows }, 'equal');
    const loss = (iterations?: number) => lossAndGrads(change(model, { iterations }), batch).loss;
    for (const iterations of [1, 2]) expect(Math.abs(loss(iterations) - loss())).toBeGreaterThan(1e-6);
  });
});

describe('properties', () => {
  test('a window of n or more equals full bit for bit', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 0, max: 2 }), (plan, more) => {
        const { model, batch } = build(plan, 'equal');
        expect(lossAndGrads(model, batch, Math.max(1, plan.latents + more)).grads).toEqual(
          lossAndGrads(model, batch).grads,
        );
      }),
      { seed: 3, numRuns: 20 },
    );
  });

  test('a batch is the label-weighted mean of its rows alone and unpadded', () => {
    fc.assert(
      fc.property(plans, plan => {
        const { model, batch } = build(plan, 'mixed');
        const whole = lossAndGrads(model, batch);
        const rows = batch.input_ids.map((_, b) => {
          const real = (values: readonly number[]) => [
            values.filter((_, t) => batch.attention_mask[b]![t] === 1),
          ];
          const alone: ReferenceBatch = {
            input_ids: real(batch.input_ids[b]!),
            labels: real(batch.labels[b]!),
            attention_mask: real(batch.attention_mask[b]!),
            position_ids: real(batch.position_ids[b]!),
          };
          return {
            labels: alone.labels[0]!.filter(label => label !== -100).length,
            ...lossAndGrads(model, alone),
          };
        });
        const labels = rows.reduce((total, row) => total + row.labels, 0);
        const mean = (pick: (row: (typeof rows)[number]) => number) =>
          rows.reduce((total, row) => total + (row.labels / labels) * pick(row), 0);
        expect(Math.abs(mean(row => row.loss) - whole.loss)).toBeLessThan(1e-12);
        for (const [name, grad] of whole.grads) {
          const expected = grad.map((_, i) => mean(row => row.grads.get(name)![i]!));
          expect(relativeError(grad, expected), name).toBeLessThan(1e-10);
        }
      }),
      { seed: 4, numRuns: 20 },
    );
  });

  test('a finite window refuses unequal latent counts', () => {
    const row = { question: 1, text: 1 };
    const rows = [
      { ...row, latents: 1 },
      { ...row, latents: 2 },
    ];
    const { model, batch } = build({ seed: 5, n_layer: 1, heads: [1, 5], latents: 0, rows }, 'mixed');
    expect(() => lossAndGrads(model, batch, 1)).toThrow('same number of latents');
  });
});
