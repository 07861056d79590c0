// Attention over several passes: however a row's columns are cut into passes, outputs and gradients are those of
// one pass in float64. Every test runs all forms of the kernels, on a device that fills new tensors with NaN.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Gpu } from '../src/gpu/gpu.ts';
import { type AttentionForm, attention, KvStore } from '../src/ops/attention.ts';
import { Tape } from '../src/tape.ts';
import { empty, read, type Tensor, upload } from '../src/tensor.ts';
import {
  type AttentionCpuAttrs,
  type AttentionDims,
  attentionBackward,
  attentionForward,
  randomFirst,
} from './cases/attention.ts';
import { type Arr, arr, normal } from './cases/case.ts';
import { testGpu } from './device.ts';
import { relativeError, seeded } from './numbers.ts';

const FORMS = ['plain', 'quad', 'joint', 'column'] as const;

const gpu = await testGpu();
/** A device whose grids fold after seven workgroups. */
const narrow = await testGpu({ limits: { maxGroups: 7 } });

interface Sample extends AttentionCpuAttrs {
  readonly dims: AttentionDims;
  readonly qkv: Arr;
  readonly dOut: Arr;
}

function sample(dims: AttentionDims, seed: number, scale = 1): Sample {
  const { B, T, H, D } = dims;
  const random = seeded(seed);
  const first = randomFirst(B, T, random);
  const qkv = normal([T * B, 3 * H * D], random, scale);
  return { dims, B, H, first, qkv, dOut: normal([T * B, H * D], random) };
}

interface Pass {
  readonly t0: number;
  readonly t1: number;
  /** false: forward only, so that its keys and values are constants to later passes. */
  readonly recorded?: boolean;
}

/** Passes that end at the given columns. */
function cutAt(...ends: number[]): Pass[] {
  return ends.map((t1, i) => ({ t0: ends[i - 1] ?? 0, t1 }));
}

interface Result {
  /** [T*B, C] of all passes. */
  readonly out: Float32Array;
  /** [T*B, 3C]; NaN in the columns of unrecorded passes. */
  readonly dqkv: Float32Array;
}

/** Rows [t0*B, t1*B) of a float64 array, on the device. */
function rows(gpu: Gpu, { data, shape: [count = 0, width = 0] }: Arr, B: number, { t0, t1 }: Pass): Tensor {
  if (t1 * B > count) throw new Error('no such rows');
  return upload(gpu, Float32Array.from(data.subarray(t0 * B * width, t1 * B * width)), [
    (t1 - t0) * B,
    width,
  ]);
}

/** Runs the passes forward in order and backward in reverse; dqkv starts from `start`, or is written. */
async function run(
  gpu: Gpu,
  { dims: { B, T, H, D }, first, qkv, dOut }: Sample,
  passes: readonly Pass[],
  form: AttentionForm,
  { store: given, start }: { store?: KvStore; start?: number } = {},
): Promise<Result> {
  const C = H * D;
  const store = given ?? KvStore.create(gpu, { columns: T, B, C });
  const columns = upload(gpu, first, [B]);
  const done = passes.map(pass => {
    const inputs = { qkv: rows(gpu, qkv, B, pass) };
    const attrs = { store, t0: pass.t0, first: columns, heads: H, form };
    return { pass, inputs, attrs, ...attention.forward(gpu, inputs, attrs) };
  });
  const gradients = new Map<Pass, Tensor>();
  for (const { pass, inputs, attrs, output, saved } of [...done].reverse()) {
    if (pass.recorded === false) continue;
    const shape = inputs.qkv.shape;
    const dqkv =
      start === undefined
        ? empty(gpu, shape)
        : upload(gpu, new Float32Array(inputs.qkv.size).fill(start), shape);
    const dOutput = rows(gpu, dOut, B, pass);
    if (attention.backward === 'not differentiable') throw new Error('attention has no backward');
    const slot = { tensor: dqkv, beta: start === undefined ? 0 : 1 } as const;
    attention.backward(gpu, { inputs, attrs, output, saved }, dOutput, { qkv: slot });
    dOutput.free();
    gradients.set(pass, dqkv);
  }
  const result = { out: new Float32Array(T * B * C), dqkv: new Float32Array(T * B * 3 * C).fill(Number.NaN) };
  for (const { pass, inputs, output, saved } of done) {
    result.out.set(await read(output), pass.t0 * B * C);
    const dqkv = gradients.get(pass);
    if (dqkv) result.dqkv.set(await read(dqkv), pass.t0 * B * 3 * C);
    for (const tensor of [inputs.qkv, output, saved.lse, dqkv]) tensor?.free();
  }
  columns.free();
  if (!given) store.free();
  return result;
}

function expectNear({ out, dqkv }: Result, data: Sample, tolerance = 1e-5): void {
  expect(relativeError(out, attentionForward(data.qkv, data).data)).toBeLessThan(tolerance);
  expect(relativeError(dqkv, attentionBackward(data.qkv, data, data.dOut).data)).toBeLessThan(tolerance);
}

describe.each(FORMS)('attention, %s', form => {
  test.each([
    { B: 1, T: 1, H: 1, D: 1 },
    { B: 3, T: 1, H: 3, D: 5 },
    { B: 2, T: 3, H: 1, D: 1 },
    { B: 3, T: 13, H: 3, D: 5 },
    { B: 5, T: 9, H: 2, D: 16 },
    { B: 1, T: 37, H: 1, D: 17 },
    { B: 1, T: 6, H: 1, D: 128 },
  ])('one pass: $B rows, $T columns, $H heads of $D', async dims => {
    const data = sample(dims, 1);
    expectNear(await run(gpu, data, cutAt(dims.T), form), data);
  });

  test.each([
    { ends: [4, 13] },
    { ends: [12, 13] },
    { ends: [1, 13] },
    { ends: [5, 6, 7, 8, 13] },
    { ends: [3, 5, 9, 13] },
    { ends: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] },
  ])('passes that end at columns $ends equal one pass', async ({ ends }) => {
    for (const D of [5, 8]) {
      const data = sample({ B: 3, T: 13, H: 3, D }, 2);
      expectNear(await run(gpu, data, cutAt(...ends), form), data);
    }
  });

  // Passes long enough for two queries a lane, and tiles that end within them.
  test.each([{ ends: [71] }, { ends: [67, 68, 69, 77] }, { ends: [5, 6, 75] }, { ends: [66, 133] }])(
    'long passes that end at columns $ends equal one pass',
    async ({ ends }) => {
      const data = sample({ B: 2, T: ends.at(-1)!, H: 1, D: 4 }, 14);
      expectNear(await run(gpu, data, cutAt(...ends), form), data);
      const { dqkv } = await run(gpu, data, cutAt(...ends), form, { start: 0.5 });
      const expected = attentionBackward(data.qkv, data, data.dOut).data.map(x => x + 0.5);
      expect(relativeError(dqkv, expected)).toBeLessThan(1e-5);
    },
  );

  test('any shape cut anywhere', async () => {
    const shapes = fc.record({
      B: fc.integer({ min: 1, max: 4 }),
      T: fc.integer({ min: 1, max: 14 }),
      H: fc.integer({ min: 1, max: 3 }),
      D: fc.constantFrom(1, 3, 5, 16),
    });
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.array(fc.integer({ min: 1, max: 13 })),
        fc.integer(),
        async (dims, cuts, seed) => {
          const ends = [...new Set(cuts.filter(cut => cut < dims.T)), dims.T].sort((a, b) => a - b);
          const data = sample(dims, seed);
          expectNear(await run(gpu, data, cutAt(...ends), form), data);
        },
      ),
      { numRuns: 25, seed: 7 },
    );
  });

  test('keys and values of an unrecorded pass are constants', async () => {
    const dims = { B: 3, T: 12, H: 2, D: 4 };
    const data = sample(dims, 3);
    // Question, two unrecorded thoughts, a recorded one, text: a truncation window of 1.
    const passes = cutAt(5, 6, 7, 8, 12).map(pass => ({ ...pass, recorded: pass.t0 < 5 || pass.t0 >= 7 }));
    const unrecorded = (t: number): boolean => t >= 5 && t < 7;
    const { out, dqkv } = await run(gpu, data, passes, form);
    expect(relativeError(out, attentionForward(data.qkv, data).data)).toBeLessThan(1e-5);

    const width = dims.H * dims.D;
    const dOut = arr(data.dOut.shape, i =>
      unrecorded(Math.floor(i / width / dims.B)) ? 0 : data.dOut.data[i]!,
    );
    const expected = attentionBackward(data.qkv, data, dOut, (_, s) => unrecorded(s)).data;
    const recorded = (_: number, i: number): boolean => !unrecorded(Math.floor(i / 3 / width / dims.B));
    expect(relativeError(dqkv.filter(recorded), expected.filter(recorded))).toBeLessThan(1e-5);
  });

  test('beta 1 adds to the gradient, in every pass', async () => {
    const data = sample({ B: 2, T: 9, H: 3, D: 12 }, 4);
    const { dqkv } = await run(gpu, data, cutAt(4, 5, 9), form, { start: 0.5 });
    const expected = attentionBackward(data.qkv, data, data.dOut).data.map(x => x + 0.5);
    expect(relativeError(dqkv, expected)).toBeLessThan(1e-5);
  });

  test('a store is reused by the next step, and a repetition is bit-equal', async () => {
    const dims = { B: 3, T: 11, H: 2, D: 4 };
    const passes = cutAt(4, 5, 6, 11);
    const store = KvStore.create(gpu, { columns: dims.T, B: dims.B, C: dims.H * dims.D });
    const [one, two] = [sample(dims, 5), sample(dims, 6)];
    const before = await run(gpu, one, passes, form, { store });
    expectNear(await run(gpu, two, passes, form, { store }), two);
    const again = await run(gpu, one, passes, form, { store });
    expect(again.out).toEqual(before.out);
    expect(again.dqkv).toEqual(before.dqkv);
    store.free();
  });

  test('a store may be longer than what is used of it', async () => {
    const data = sample({ B: 2, T: 7, H: 2, D: 3 }, 7);
    const store = KvStore.create(gpu, { columns: 10, B: 2, C: 6 });
    expectNear(await run(gpu, data, cutAt(3, 7), form, { store }), data);
    store.free();
  });

  test('grids over the limit of workgroups are folded', async () => {
    const data = sample({ B: 3, T: 11, H: 3, D: 4 }, 8);
    expectNear(await run(narrow, data, cutAt(5, 6, 11), form), data);
  });

  test('scores of a few hundred neither overflow nor vanish', async () => {
    const data = sample({ B: 2, T: 12, H: 2, D: 5 }, 9, 12);
    // An exponent near 100 in float32 is off by 100 * 2^-24, and so is the weight that it gives: 1e-5 is too tight.
    expectNear(await run(gpu, data, cutAt(6, 12), form), data, 1e-4);
  });
});

test('memory: inference makes no records, training makes them once, and all of it comes back', async () => {
  const live = gpu.pool.memory.live;
  const data = sample({ B: 2, T: 6, H: 1, D: 4 }, 10);
  const store = KvStore.create(gpu, { columns: 6, B: 2, C: 4 });
  const kept = store.qkv.bytes;
  const unrecorded = cutAt(3, 6).map(pass => ({ ...pass, recorded: false }));
  await run(gpu, data, unrecorded, 'plain', { store });
  expect(gpu.pool.memory.live - live).toBe(kept);
  for (let step = 0; step < 2; step++) {
    await run(gpu, data, cutAt(3, 6), 'plain', { store });
    expect(gpu.pool.memory.live - live).toBe(kept + 4 * 6 * 2 * (2 * 4 + 4));
  }
  store.free();
  expect(gpu.pool.memory.live).toBe(live);
});

test('a pass whose own gradient is not wanted still passes on that of earlier columns', async () => {
  const [B, H, D] = [2, 1, 3];
  const data = sample({ B, T: 5, H, D }, 11);
  const expected = await run(gpu, data, cutAt(3, 5), 'plain');
  const store = KvStore.create(gpu, { columns: 5, B, C: H * D });
  const first = upload(gpu, data.first, [B]);
  const [early, late] = cutAt(3, 5).map(pass => {
    const inputs = { qkv: rows(gpu, data.qkv, B, pass) };
    const attrs = { store, t0: pass.t0, first, heads: H };
    return { inputs, attrs, ...attention.forward(gpu, inputs, attrs), dOut: rows(gpu, data.dOut, B, pass) };
  });
  if (!early || !late || attention.backward === 'not differentiable') throw new Error('unreachable');
  attention.backward(gpu, late, late.dOut, {});
  const dqkv = empty(gpu, early.inputs.qkv.shape);
  attention.backward(gpu, early, early.dOut, { qkv: { tensor: dqkv, beta: 0 } });
  expect(relativeError(await read(dqkv), expected.dqkv.subarray(0, dqkv.size))).toBeLessThan(1e-6);
});

test('on a tape, a pass of which only the keys and values are used gets their gradients', async () => {
  const [B, H, D] = [2, 2, 3];
  const data = sample({ B, T: 7, H, D }, 13);
  const store = KvStore.create(gpu, { columns: 7, B, C: H * D });
  const first = upload(gpu, data.first, [B]);
  const [early, late] = [
    { t0: 0, t1: 4 },
    { t0: 4, t1: 7 },
  ];
  const tape = new Tape(gpu);
  const inputs = [early, late].map(pass => rows(gpu, data.qkv, B, pass));
  const gradients = inputs.map(qkv => empty(gpu, qkv.shape));
  for (const [i, qkv] of inputs.entries()) tape.watch(qkv, gradients[i]!);
  tape.apply(attention, { qkv: inputs[0]! }, { store, t0: early.t0, first, heads: H });
  const out = tape.apply(attention, { qkv: inputs[1]! }, { store, t0: late.t0, first, heads: H });
  tape.backward(out, rows(gpu, data.dOut, B, late));

  const used = arr(data.dOut.shape, i => (i < late.t0 * B * H * D ? 0 : data.dOut.data[i]!));
  const expected = attentionBackward(data.qkv, data, used).data;
  const dqkv = [...(await read(gradients[0]!)), ...(await read(gradients[1]!))];
  expect(relativeError(dqkv, expected)).toBeLessThan(1e-5);
});

describe('faults are named', () => {
  test('passes that run backward in the wrong order', async () => {
    const data = sample({ B: 1, T: 4, H: 1, D: 2 }, 12);
    const store = KvStore.create(gpu, { columns: 4, B: 1, C: 2 });
    const early = cutAt(2, 4).map(pass => ({ ...pass, recorded: pass.t0 > 0 }));
    await run(gpu, data, early, 'plain', { store });
    await expect(run(gpu, data, cutAt(4), 'plain', { store })).rejects.toThrow(/last to first/);
    store.reset();
    expectNear(await run(gpu, data, cutAt(4), 'plain', { store }), data);
    store.free();
  });

  test.each([
    { what: 'a head width that is no integer', C: 6, heads: 4, t0: 0, width: 18, error: /head width/ },
    { what: 'a head width over 128', C: 258, heads: 2, t0: 0, width: 774, error: /head width/ },
    { what: 'a pass beyond the store', C: 6, heads: 2, t0: 3, width: 18, error: /not in the store/ },
    { what: 'qkv of another width', C: 6, heads: 2, t0: 0, width: 12, error: /qkv must be/ },
  ])('$what', ({ C, heads, t0, width, error: message }) => {
    const store = KvStore.create(gpu, { columns: 4, B: 2, C });
    const first = upload(gpu, new Uint32Array(2), [2]);
    const qkv = empty(gpu, [4, width]);
    expect(() => attention.forward(gpu, { qkv }, { store, t0, first, heads })).toThrow(message);
    for (const tensor of [first, qkv]) tensor.free();
    store.free();
  });
});
