// What the optimizer is made of, against float64: ordered sums, the global norm, the clip factor, AdamW.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copy, fill } from '../src/flat.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import { type AdamWSettings, adamw, adamwScaled } from '../src/ops/adamw.ts';
import { clipFactor } from '../src/ops/clip.ts';
import { FIRST_SCALE, type LossScale, scaledClip, scaleOf, uploadScale } from '../src/ops/loss-scale.ts';
import { sum, sumRows, sumSquares } from '../src/ops/reduce.ts';
import { empty, read, type Tensor, upload } from '../src/tensor.ts';
import { normal } from './cases/case.ts';
import { testGpu } from './device.ts';
import { relativeError, seeded } from './numbers.ts';

const gpu = await testGpu();
/** Bindings of 16 KiB and grids of 7 workgroups: tensors are done in pieces, grids are folded. */
const narrow = await testGpu({ poison: false, limits: { maxBinding: 16_384, maxGroups: 7 } });

const numbers = (size: number, seed: number): Float32Array =>
  Float32Array.from(normal([size], seeded(seed)).data);
const put = (device: Gpu, data: Float32Array): Tensor => upload(device, data, [data.length]);

describe('sums', () => {
  it('are those of float64, over any size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40_000 }), fc.nat(), async (size, seed) => {
        const data = numbers(size, seed).map(Math.abs);
        const x = put(gpu, data);
        const y = sum(gpu, x, 0.5);
        const expected = data.reduce((a, b) => a + b, 0) * 0.5;
        expect(
          relativeError(await read(y), [Array.from(data).reduce((a, b) => a + b, 0) * 0.5]),
        ).toBeLessThan(1e-6);
        expect(expected).toBeGreaterThan(0);
        for (const tensor of [x, y]) tensor.free();
      }),
      {
        numRuns: 10,
        seed: 1,
        examples: [
          [1, 0],
          [64, 1],
          [65, 2],
          [16_384, 3],
          [16_385, 4],
        ],
      },
    );
  });

  it('of squares go over any number of tensors, and give the same bits again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
        fc.nat(),
        async (sizes, seed) => {
          const data = sizes.map((size, i) => numbers(size, seed + i));
          const tensors = data.map(values => put(gpu, values));
          const [y, again] = [sumSquares(gpu, tensors), sumSquares(gpu, tensors)];
          const expected = data.flatMap(values => Array.from(values)).reduce((a, x) => a + x * x, 0);
          const result = await read(y);
          expect(relativeError(result, [expected])).toBeLessThan(1e-6);
          expect(await read(again)).toEqual(result);
          for (const tensor of [...tensors, y, again]) tensor.free();
        },
      ),
      {
        numRuns: 10,
        seed: 2,
        examples: [
          [[1], 0],
          [[1, 4096, 4097], 1],
          [[1_060_000], 2], // more than the least elements a thread, and no multiple of four
        ],
      },
    );
  });

  it.each([
    ['', gpu],
    [', in pieces that a binding spans', narrow],
  ])('down the rows add to what is there with beta 1%s', async (_, device) => {
    for (const [M, C] of [
      [1, 1],
      [128, 3],
      [129, 5],
      [1000, 17],
      [9000, 2],
    ] as const) {
      const data = numbers(M * C, M);
      const start = numbers(C, 5);
      const x = upload(device, data, [M, C]);
      const [y, added] = [empty(device, [C]), put(device, start)];
      sumRows(device, x, { tensor: y, beta: 0 });
      sumRows(device, x, { tensor: added, beta: 1 });
      const expected = Float64Array.from({ length: C }, (_, c) =>
        Array.from({ length: M }, (_, m) => data[m * C + c]!).reduce((a, b) => a + b, 0),
      );
      expect(relativeError(await read(y), expected), `[${M}, ${C}]`).toBeLessThan(1e-5);
      expect(
        relativeError(
          await read(added),
          expected.map((v, c) => v + start[c]!),
        ),
      ).toBeLessThan(1e-5);
      for (const tensor of [x, y, added]) tensor.free();
    }
  });

  it('of nothing are refused', () => {
    expect(() => sumSquares(gpu, [])).toThrow(/no tensors/);
  });
});

describe('the clip factor', () => {
  const clip = async (squares: number, maxNorm: number, scale?: number): Promise<number[]> => {
    const x = put(gpu, Float32Array.of(squares));
    const y = clipFactor(gpu, x, maxNorm, scale);
    const result = Array.from(await read(y));
    for (const tensor of [x, y]) tensor.free();
    return result;
  };

  it('shrinks a long gradient and leaves a short one', async () => {
    expect(relativeError(await clip(100, 2), [10, 0.2])).toBeLessThan(1e-6);
    expect(await clip(4, 5)).toEqual([2, 1]);
    expect(await clip(0, 5)).toEqual([0, 1]);
  });

  it('is off with 0 and Infinity', async () => {
    expect(await clip(1e6, 0)).toEqual([1000, 1]);
    expect(await clip(1e6, Infinity)).toEqual([1000, 1]);
    expect(() => clipFactor(gpu, put(gpu, Float32Array.of(1)), -1)).toThrow(/norm is -1/);
  });

  it('scales sums that are still to be averaged', async () => {
    expect(relativeError(await clip(64, 1, 0.25), [2, 0.125])).toBeLessThan(1e-6);
    expect(await clip(64, 5, 0.25)).toEqual([2, 0.25]);
  });

  it('is 0 when the norm is not finite', async () => {
    for (const squares of [NaN, Infinity]) {
      expect((await clip(squares, 1))[1]).toBe(0);
      expect((await clip(squares, 0))[1]).toBe(0);
    }
  });
});

interface State {
  param: number[];
  m: number[];
  v: number[];
}

/** torch.optim.AdamW's rule, in float64. */
function reference(
  state: State,
  grad: number[],
  settings: AdamWSettings,
  decayEnd: number,
  factor: number,
): void {
  const { lr, beta1, beta2, eps, weightDecay, step } = settings;
  for (const [i, raw] of grad.entries()) {
    const g = raw * factor;
    if (i < decayEnd) state.param[i]! *= 1 - lr * weightDecay;
    state.m[i] = beta1 * state.m[i]! + (1 - beta1) * g;
    state.v[i] = beta2 * state.v[i]! + (1 - beta2) * g * g;
    const m = state.m[i]! / (1 - beta1 ** step);
    const v = state.v[i]! / (1 - beta2 ** step);
    state.param[i]! -= (lr * m) / (Math.sqrt(v) + eps);
  }
}

describe('AdamW', () => {
  const settings = { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1 };

  async function compare(device: Gpu, size: number, decayEnd: number, steps: number): Promise<void> {
    const start = numbers(size, size);
    const state: State = { param: Array.from(start), m: Array(size).fill(0), v: Array(size).fill(0) };
    const [param, m, v] = [put(device, start), empty(device, [size]), empty(device, [size])];
    fill(m, 0);
    fill(v, 0);
    const clip = put(device, Float32Array.of(2, 0.5));
    for (let step = 1; step <= steps; step++) {
      const values = numbers(size, 100 + step);
      const grad = put(device, values);
      adamw(device, { param, grad, m, v, clip }, { ...settings, step }, decayEnd);
      reference(state, Array.from(values), { ...settings, step }, decayEnd, 0.5);
      grad.free();
    }
    expect(relativeError(await read(m), state.m)).toBeLessThan(1e-5);
    expect(relativeError(await read(v), state.v)).toBeLessThan(1e-5);
    expect(relativeError(await read(param), state.param)).toBeLessThan(1e-5);
    // The step itself, which is small beside the parameters: rounding them leaves 1e-7 / lr of it.
    const moved = (await read(param)).map((p, i) => p - start[i]!);
    expect(
      relativeError(
        moved,
        state.param.map((p, i) => p - start[i]!),
      ),
    ).toBeLessThan(1e-4);
    for (const tensor of [param, m, v, clip]) tensor.free();
  }

  it('follows float64 over several steps, decaying only below decayEnd', async () => {
    for (const [size, decayEnd] of [
      [4, 0],
      [4, 4],
      [4, 1],
      [260, 102],
      [1000, 0],
      [776, 776],
    ] as const)
      await compare(gpu, size, decayEnd, 3);
  });

  it('goes in pieces over the binding limit', async () => {
    await compare(narrow, 10_000, 5000, 2);
    await compare(narrow, 8192, 256, 2);
  });

  it('leaves everything as it is when the norm is not finite', async () => {
    const values = numbers(300, 1);
    const tensors = {
      param: put(gpu, values),
      grad: put(
        gpu,
        values.map((x, i) => (i === 7 ? NaN : x)),
      ),
      m: put(gpu, values),
      v: put(gpu, values.map(Math.abs)),
    };
    const squares = sumSquares(gpu, [tensors.grad]);
    const clip = clipFactor(gpu, squares, 1);
    adamw(gpu, { ...tensors, clip }, { ...settings, step: 4 }, 100);
    expect(await read(tensors.param)).toEqual(values);
    expect(await read(tensors.m)).toEqual(values);
    expect(await read(tensors.v)).toEqual(values.map(Math.abs));
    for (const tensor of [...Object.values(tensors), squares, clip]) tensor.free();
  });

  it('refuses a step below 1, and elements that do not come in fours', () => {
    const clip = put(gpu, Float32Array.of(1, 1));
    const [x, y] = [put(gpu, numbers(4, 1)), put(gpu, numbers(6, 1))];
    const run = (all: Tensor, step: number) => () =>
      adamw(gpu, { param: all, grad: all, m: all, v: all, clip }, { ...settings, step }, 0);
    expect(run(x, 0)).toThrow(/step 0/);
    expect(run(y, 1)).toThrow(/6 elements/);
    for (const tensor of [clip, x, y]) tensor.free();
  });
});

describe('the loss scale', () => {
  const betas = { beta1: 0.9, beta2: 0.999 };
  /** The state after a step of gradients whose squares sum up to `squares`, and what the step multiplies by. */
  const stepped = async (squares: number, from: LossScale, maxNorm = 0) => {
    const [x, state] = [put(gpu, Float32Array.of(squares)), uploadScale(gpu, from)];
    const clip = scaledClip(gpu, x, state, { ...betas, maxNorm });
    const [norm, factor] = await read(clip);
    const then = scaleOf(await read(state));
    for (const tensor of [x, state, clip]) tensor.free();
    return { norm, factor, then };
  };
  const start = { scale: 1024, row: 7, skipped: 3, correction1: 0.5, correction2: 0.25 };

  it('is taken out of the norm and of the gradients, which are clipped without it', async () => {
    const { norm, factor, then } = await stepped((1024 * 10) ** 2, start);
    expect(norm).toBe(10);
    expect(factor).toBe(1 / 1024);
    expect(then).toMatchObject({ scale: 1024, row: 8, skipped: 3 });
    const clipped = await stepped((1024 * 10) ** 2, start, 2);
    expect(clipped.norm).toBe(10);
    expect(relativeError([clipped.factor!], [0.2 / 1024])).toBeLessThan(1e-6);
  });

  it('backs off from what is not finite, which is no step, down to 1', async () => {
    for (const squares of [NaN, Infinity]) {
      const { factor, then } = await stepped(squares, start, 1);
      expect(factor).toBe(0);
      expect(then).toEqual({ ...start, scale: 512, row: 0, skipped: 4 });
      expect((await stepped(squares, { ...start, scale: 1 })).then.scale).toBe(1);
    }
  });

  it('grows after 2,000 steps in a row, up to 2^24', async () => {
    const last = { ...start, row: 1998 };
    expect((await stepped(1, last)).then).toMatchObject({ scale: 1024, row: 1999 });
    expect((await stepped(1, { ...last, row: 1999 })).then).toMatchObject({ scale: 2048, row: 0 });
    const top = { ...last, scale: 2 ** 24, row: 1999 };
    expect((await stepped(1, top)).then).toMatchObject({ scale: 2 ** 24, row: 0 });
  });

  it('counts the steps taken for AdamW, which then does what it does without a scale', async () => {
    const size = 260;
    const settings = { lr: 0.01, ...betas, eps: 1e-8, weightDecay: 0.1 };
    const values = numbers(size, 5);
    const state: State = { param: Array.from(values), m: Array(size).fill(0), v: Array(size).fill(0) };
    const tensors = { param: put(gpu, values), m: empty(gpu, [size]), v: empty(gpu, [size]) };
    fill(tensors.m, 0);
    fill(tensors.v, 0);
    const scale = uploadScale(gpu, FIRST_SCALE);
    let taken = 0;
    for (let attempt = 1; attempt <= 5; attempt++) {
      const grad = numbers(size, 200 + attempt);
      const overflow = attempt % 2 === 0;
      const before = scaleOf(await read(scale)).scale;
      const scaled = grad.map((g, i) => (overflow && i === 100 ? Infinity : g * before));
      const flat = put(gpu, scaled);
      const squares = sumSquares(gpu, [flat]);
      const clip = scaledClip(gpu, squares, scale, { ...betas, maxNorm: 0 });
      const was = await Promise.all(Object.values(tensors).map(read));
      adamwScaled(gpu, { ...tensors, grad: flat, clip, state: scale }, settings, 100);
      if (overflow) expect(await Promise.all(Object.values(tensors).map(read))).toEqual(was);
      else reference(state, Array.from(grad), { ...settings, step: ++taken }, 100, 1);
      for (const tensor of [flat, squares, clip]) tensor.free();
    }
    const found = scaleOf(await read(scale));
    expect(found).toMatchObject({ scale: 2 ** 14, row: 1, skipped: 2 });
    expect(found.correction1 / (1 - 0.9 ** taken) - 1).toBeCloseTo(0, 6);
    expect(found.correction2 / (1 - 0.999 ** taken) - 1).toBeCloseTo(0, 6);
    for (const name of ['param', 'm', 'v'] as const)
      expect(relativeError(await read(tensors[name]), state[name])).toBeLessThan(1e-5);
    for (const tensor of [...Object.values(tensors), scale]) tensor.free();
  });
});

describe('over the binding limit', () => {
  it('fill, copy and sums of squares go in pieces', async () => {
    const size = 9000;
    const values = numbers(size, 3);
    const [x, y, z] = [put(narrow, values), empty(narrow, [size]), empty(narrow, [size])];
    copy(x, y);
    copy(x, y, 1);
    fill(z, -2.5);
    const squares = sumSquares(narrow, [x, z]);
    expect(await read(y)).toEqual(values.map(v => 2 * v));
    expect(await read(z)).toEqual(new Float32Array(size).fill(-2.5));
    const expected = Array.from(values).reduce((a, v) => a + v * v, 6.25 * size);
    expect(relativeError(await read(squares), [expected])).toBeLessThan(1e-6);
    for (const tensor of [x, y, z, squares]) tensor.free();
  });
});
