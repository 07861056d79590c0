// The cost of a step on paper: that it counts what a real step is counted to do, that operations follow from the
// model's formula, and how amounts become times.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AdapterForm, type DryDispatch, REAL_GPU } from '../../src/gpu/dry-gpu.ts';
import { type ModelConfig, parameterCount } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import type { Window } from '../../src/model/latent.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { withPreset } from '../../src/train/presets.ts';
import { Learner } from '../../src/train/step.ts';
import { floorsOf, type Machine, totalOf } from '../../tools/cost/machines.ts';
import { columnsOf, presetRows, type RowForm, rowsOf, written } from '../../tools/cost/rows.ts';
import { byPart, partOf, type StepCost, stepCost } from '../../tools/cost/step.ts';
import { amountsTable, floorsTable, partsTable } from '../../tools/cost/tables.ts';
import { workOf } from '../../tools/cost/work.ts';
import { testGpu } from '../device.ts';

const gpu = await testGpu({ poison: false });

/** What the test's device says of itself. */
const HERE: AdapterForm = {
  cpuRun: gpu.cpuRun,
  swiftshader: gpu.swiftshader,
  features: [...gpu.features],
};

function config(layers: number, more: Partial<ModelConfig> = {}): ModelConfig {
  return {
    vocabSize: 23,
    positions: 32,
    width: 16,
    layers,
    heads: 2,
    inner: 64,
    layerNormEpsilon: 1e-5,
    bosTokenId: undefined,
    eosTokenId: undefined,
    padTokenId: undefined,
    latentTokenId: undefined,
    startLatentId: undefined,
    endLatentId: undefined,
    reasoning: undefined,
    ...more,
  };
}

interface Counted {
  readonly dispatches: number;
  readonly flops: number;
  readonly peakBytes: number;
}

/** Counts a step that the test's device records and runs, as an adapter of the given form. */
async function realStep(
  model: ModelConfig,
  form: RowForm,
  B: number,
  window: Window,
  adapter: AdapterForm,
): Promise<Counted> {
  const { cpuRun, swiftshader, features } = adapter;
  const device = gpu as { -readonly [K in keyof typeof gpu]: (typeof gpu)[K] };
  Object.assign(device, { cpuRun, swiftshader, features: new Set(features) });
  try {
    const parameters = new Parameters(gpu, model);
    const options = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, clip: 1 };
    const learner = new Learner(new Gpt(parameters), { ...options, window, microBatch: 'all', padId: 0 });
    const rows = rowsOf(form, model.vocabSize, B);
    const own = 4 * parameters.arenas.reduce((sum, { flat }) => sum + flat.bytes, 0);
    gpu.pool.resetPeak();
    const live = gpu.pool.memory.live;
    const before = { ...gpu.counts };
    const { losses, clip } = learner.step(rows, 1e-4);
    const counted = {
      dispatches: gpu.counts.dispatches - before.dispatches,
      flops: gpu.counts.flops - before.flops,
      peakBytes: gpu.pool.memory.peak - live + own,
    };
    for (const tensor of [...losses, clip]) tensor.free();
    learner.free();
    parameters.free();
    await gpu.finish();
    return counted;
  } finally {
    Object.assign(device, {
      cpuRun: HERE.cpuRun,
      swiftshader: HERE.swiftshader,
      features: new Set(HERE.features),
    });
  }
}

const paper = ({ dispatches, productFlops, peakBytes }: StepCost): Counted => ({
  dispatches: dispatches.length,
  flops: productFlops,
  peakBytes,
});

describe('a step on paper is counted as the step is', () => {
  const windows: readonly Window[] = [1, 2, 'full'];
  const cases = [1, 2, 3].flatMap(layers => [0, 1, 2, 3, 4].map(n => ({ layers, n })));

  it.each(cases)('$layers layers, $n latents, on this adapter', async ({ layers, n }) => {
    for (const window of windows) {
      const form = { question: 7, latents: n, text: 3 };
      const options = { window, microBatch: 'all' as const, adapter: HERE };
      const cost = stepCost(config(layers), rowsOf(form, 23, 4), options);
      expect(paper(cost)).toEqual(await realStep(config(layers), form, 4, window, HERE));
    }
  });

  it('with as many words as go by fours, for which there are other kernels', async () => {
    const form = { question: 7, latents: 2, text: 3 };
    const of = config(1, { vocabSize: 24 });
    const options = { window: 'full', microBatch: 'all', adapter: HERE } as const;
    const cost = stepCost(of, rowsOf(form, 24, 4), options);
    expect(paper(cost)).toEqual(await realStep(of, form, 4, 'full', HERE));
  });

  // The kernels of a GPU have workgroup memory and barriers, on which a CPU-run adapter is slow: few and small.
  it.each([
    { layers: 1, n: 3, window: 2 as const, B: 3 },
    { layers: 2, n: 4, window: 'full' as const, B: 33 },
    { layers: 2, n: 0, window: 'full' as const, B: 5 },
  ])('$layers layers, $n latents, window $window, in the form for GPUs', async ({ layers, n, window, B }) => {
    const form = { question: 5, latents: n, text: 2 };
    const cost = stepCost(config(layers), rowsOf(form, 23, B), { window, microBatch: 'all' });
    expect(paper(cost)).toEqual(await realStep(config(layers), form, B, window, REAL_GPU));
  });
});

describe('operations', () => {
  const form = fc.record({
    question: fc.integer({ min: 1, max: 30 }),
    latents: fc.integer({ min: 0, max: 5 }),
    text: fc.integer({ min: 1, max: 12 }),
  });
  const model = fc
    .record({ layers: fc.integer({ min: 1, max: 3 }), heads: fc.integer({ min: 1, max: 3 }) })
    .map(({ layers, heads }) => config(layers, { heads, width: 8 * heads, inner: 40, positions: 64 }));
  const cost = (of: ModelConfig, rows: RowForm, B: number, window: Window = 'full'): StepCost =>
    stepCost(of, rowsOf(rows, of.vocabSize, B), { window, microBatch: 'all' });

  it('of products are those of the formula, whatever the passes', () => {
    const sizes = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(model, form, sizes, (of, rows, B) => {
        const { layers, width: C, inner, vocabSize: V } = of;
        const all = columnsOf(rows) * B;
        // Columns after whose keys and values the last layer goes on: n that are fed back, those that predict a label,
        // and the last one, which stands with them.
        const read = (rows.latents + rows.text + 1) * B;
        const qkv = 3 * C * C;
        const rest = C * C + 2 * C * inner;
        // Forward, and backward for the input and the weights. The last layer makes keys and values of all columns and
        // the rest of those that are read; only the weight gradient of qkv is taken over all columns, in one product.
        const whole = 3 * (layers - 1) * all * (qkv + rest);
        const last = 2 * (all * 2 * C * C + read * (C * C + rest)) + all * qkv + read * rest;
        const head = 3 * rows.text * B * V * C;
        const multiplyAdds = whole + last + head;
        expect(cost(of, rows, B).productFlops).toBe(2 * multiplyAdds);
      }),
    );
  });

  it('of attention backward are 14 for 4 forward, however a row is cut into passes', () => {
    fc.assert(
      fc.property(model, form, fc.integer({ min: 1, max: 4 }), (of, rows, B) => {
        const whole = cost(of, rows, B).dispatches;
        const flops = (name: string): number =>
          totalOf(whole.filter(({ kernel }) => kernel.startsWith(name))).flops;
        const forward = flops('attention-forward');
        const backward = flops('attention-d') + flops('attention-backward');
        expect(backward / forward).toBeCloseTo(14 / 4, 12);
        // In all layers but the last every column is a query.
        const T = columnsOf(rows);
        const { layers, width: C } = of;
        const full = (4 * C * B * T * (T + 1)) / 2;
        expect(forward).toBeLessThanOrEqual(layers * full);
        expect(forward).toBeGreaterThanOrEqual((layers - 1) * full);
      }),
    );
  });

  it('of attention backward are the same where blocks run again, and more is done in all', () => {
    const kept = { window: 'full', microBatch: 'all' } as const;
    fc.assert(
      fc.property(model, form, fc.integer({ min: 1, max: 4 }), (of, rows, B) => {
        const [once, again] = [false, true].map(recompute =>
          stepCost(of, rowsOf(rows, of.vocabSize, B), { ...kept, recompute }),
        ) as [StepCost, StepCost];
        const backward = ({ dispatches }: StepCost) =>
          totalOf(dispatches.filter(({ kernel }) => /^attention-(d|backward)/.test(kernel)));
        expect(backward(again).flops).toBe(backward(once).flops);
        expect(again.dispatches.filter(({ flops, bytes }) => flops < 0 || bytes <= 0)).toEqual([]);
        const [least, most] = [totalOf(once.dispatches), totalOf(again.dispatches)];
        expect(most.flops).toBeGreaterThan(least.flops);
        expect(most.bytes).toBeGreaterThan(least.bytes);
      }),
    );
  });

  it('of a large model come to six a parameter and column', () => {
    const of = config(6, { width: 768, heads: 12, inner: 3072, vocabSize: 64, positions: 96 });
    const rows = { question: 1, latents: 0, text: 93 };
    const tokens = columnsOf(rows) * 8;
    const dense = parameterCount(of) - 96 * 768;
    expect(cost(of, rows, 8).productFlops / (6 * dense * tokens)).toBeCloseTo(1, 1);
  });

  it('are fewer with a window, since what is not recorded has no backward', () => {
    const rows = { question: 9, latents: 5, text: 3 };
    const full = cost(config(2), rows, 4);
    const cut = cost(config(2), rows, 4, 2);
    expect(cut.productFlops).toBeLessThan(full.productFlops);
    expect(cut.peakBytes).toBeLessThan(full.peakBytes);
    expect(cut.dispatches.length).toBeLessThan(full.dispatches.length);
    expect(cost(config(2), rows, 4, 5)).toEqual(full);
  });
});

describe('bytes of a dispatch', () => {
  const dispatch = (more: Partial<DryDispatch>): DryDispatch => ({
    kernel: 'add',
    path: [],
    params: {},
    consts: {},
    bound: {},
    flops: 0,
    ...more,
  });

  it('of a product are its matrices, and what its epilogue reads and writes', () => {
    const params = { M: 5, N: 7, K: 11, batch: 1 };
    const bytes = (consts: Record<string, boolean>): number =>
      workOf(dispatch({ kernel: 'matmul-tiled', params, consts, flops: 770 })).bytes;
    const plain = 4 * (5 * 11 + 11 * 7 + 5 * 7);
    expect(bytes({})).toBe(plain);
    expect(bytes({ BIAS: true, RESIDUAL: true })).toBe(plain + 4 * (7 + 35));
    expect(bytes({ ADD: true, SUMS: true, GELU: false })).toBe(plain + 4 * (7 + 35));
    expect(workOf(dispatch({ kernel: 'matmul-quad-vec', params, flops: 770 })).flops).toBe(770);
  });

  it('of what is added to are read and written', () => {
    const copy = (ADD: boolean) =>
      workOf(dispatch({ kernel: 'copy', params: { count: 10 }, consts: { ADD } })).bytes;
    expect([copy(false), copy(true)]).toEqual([80, 120]);
    const bound = { x: 400, y: 40 };
    const sum = (beta: number) => workOf(dispatch({ kernel: 'sum-rows', params: { beta }, bound })).bytes;
    expect([sum(0), sum(1)]).toEqual([440, 480]);
  });

  it('are unknown for a kernel without a row, which is an error', () => {
    expect(() => workOf(dispatch({ kernel: 'no-such-kernel' }))).toThrow(
      'shaders/no-such-kernel.wgsl has no row in tools/cost/work.ts',
    );
    expect(() => workOf(dispatch({ kernel: 'copy' }))).toThrow('"count"');
  });
});

describe('parts', () => {
  it('follow the scopes of a step', () => {
    expect(
      [
        ['forward', 'question', 'block 0', 'linear'],
        ['forward', 'latent 2', 'block 1', 'attention'],
        ['backward', 'latent 3 and text', 'head and loss', 'matmul'],
        ['backward', 'latent 3 and text', 'block 0', 'mlp'],
        ['backward', 'weights of all latents'],
        ['backward'],
        ['optimizer'],
      ].map(partOf),
    ).toEqual([
      'forward: question',
      'forward: latent columns',
      'backward: head and loss',
      'backward: last latent and text',
      'backward: weights of all latents',
      'backward: whole row',
      'optimizer',
    ]);
  });

  it('are the whole step together, and latent columns are in it where there are some', () => {
    const rows = { question: 6, latents: 3, text: 2 };
    const options = { window: 'full', microBatch: 'all' } as const;
    const { dispatches } = stepCost(config(2), rowsOf(rows, 23, 2), options);
    const parts = byPart(dispatches);
    expect([...parts.values()].flat().length).toBe(dispatches.length);
    expect(parts.has('forward: latent columns') && parts.has('backward: latent columns')).toBe(true);
    const without = byPart(stepCost(config(2), rowsOf(written(rows), 23, 2), options).dispatches);
    expect([...without.keys()].filter(part => part.includes('latent'))).toEqual([]);
    // Two latent passes of two blocks, eight dispatches each, are the least.
    expect(parts.get('forward: latent columns')!.length).toBeGreaterThanOrEqual(2 * 2 * 8);
  });
});

describe('rows', () => {
  it('have the lengths that are asked for, and labels on the text alone', () => {
    const form = { question: 5, latents: 3, text: 4 };
    for (const rows of [rowsOf(form, 11, 2), rowsOf(written(form), 11, 2)])
      for (const { tokens, labels } of rows) {
        expect([tokens.length, labels.length]).toEqual([14, 14]);
        for (const token of tokens) expect(token).toBeLessThan(11);
      }
    const labelled = (of: RowForm) => rowsOf(of, 11, 1)[0]!.labels.filter(label => label >= 0).length;
    expect([labelled(form), labelled(written(form))]).toEqual([4, 7]);
    expect(columnsOf(written(form))).toBe(columnsOf(form));
  });

  it("of a preset are as long as its task's", () => {
    const { form, vocabulary } = presetRows(withPreset({ preset: 'pointer' }));
    // Eight pairs, ? and a start; ###, the answer and the end. Seven reserved tokens, eight nodes and ?.
    expect(form).toEqual({ question: 18, latents: 3, text: 3 });
    expect(vocabulary).toBe(16);
  });
});

describe('times', () => {
  const machine: Machine = { name: 'round', flops: 100, bandwidth: 10, dispatch: 1 };

  it('are those of the totals, and of a chain in which each dispatch has a floor of its own', () => {
    const work = [
      { flops: 300, bytes: 1 }, // 3 s of arithmetic
      { flops: 10, bytes: 50 }, // 5 s of memory
      { flops: 1, bytes: 1 }, // 1 s as a dispatch
    ];
    expect(floorsOf(work, machine)).toEqual({
      arithmetic: 3.11,
      memory: 5.2,
      dispatches: 3,
      binds: 'memory',
      chain: 9,
    });
  });

  it('of a chain are at least the longest floor and at most all three', () => {
    const amount = fc.double({ min: 0, max: 1000, noNaN: true });
    const work = fc.array(fc.record({ flops: amount, bytes: amount }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(work, of => {
        const { arithmetic, memory, dispatches, binds, chain } = floorsOf(of, machine);
        const terms = { arithmetic, memory, dispatches };
        expect(terms[binds]).toBe(Math.max(...Object.values(terms)));
        expect(chain).toBeGreaterThanOrEqual(terms[binds] * (1 - 1e-12));
        expect(chain).toBeLessThanOrEqual((arithmetic + memory + dispatches) * (1 + 1e-12));
      }),
    );
  });

  it('are shown by batch and by part', () => {
    const rows = { question: 6, latents: 3, text: 2 };
    const cost = (form: RowForm) =>
      stepCost(config(1), rowsOf(form, 23, 2), { window: 'full', microBatch: 'all' });
    const costs = [
      { batch: 2, latents: cost(rows), written: cost(written(rows)) },
      { batch: 3, latents: cost(written(rows)), written: undefined },
    ];
    for (const text of [amountsTable(costs), floorsTable(costs, machine)]) {
      const lines = text.split('\n').map(line => line.split('|').length);
      expect(lines).toHaveLength(4);
      expect(new Set(lines).size).toBe(1);
    }
    const { dispatches } = costs[0]!.latents;
    expect(partsTable(costs[0]!.latents, [machine])).toContain(`| whole step | ${dispatches.length} |`);
  });
});
