// Choosing tokens on the device, against a plain CPU form: argmax, temperature, top-k, ties, NaN and infinities.
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RowForm } from '../src/ops/launch.ts';
import { argmax, type SampleSettings, sample } from '../src/ops/sample.ts';
import { readU32, upload } from '../src/tensor.ts';
import { normal } from './cases/case.ts';
import { testGpu } from './device.ts';
import { seeded } from './numbers.ts';

const gpu = await testGpu();

/** The form of the kernels under test. */
let form: RowForm = 'thread';

async function argmaxOf(rows: number[][]): Promise<number[]> {
  const logits = upload(gpu, Float32Array.from(rows.flat()), [rows.length, rows[0]!.length]);
  const y = argmax(gpu, logits, form);
  const result = Array.from(await readU32(y));
  for (const tensor of [logits, y]) tensor.free();
  return result;
}

async function sampleOf(rows: number[][], uniforms: number[], settings: SampleSettings): Promise<number[]> {
  const logits = upload(gpu, Float32Array.from(rows.flat()), [rows.length, rows[0]!.length]);
  const u = upload(gpu, Float32Array.from(uniforms), [uniforms.length]);
  const y = sample(gpu, logits, u, { ...settings, form });
  const result = Array.from(await readU32(y));
  for (const tensor of [logits, u, y]) tensor.free();
  return result;
}

/** Probability of each token of a row, in float64: 0 outside the top k, the lower index first among equals. */
function probabilities(row: number[], { temperature, topK }: SampleSettings): number[] {
  const ranked = row
    .map((value, index) => ({ value, index }))
    .filter(({ value }) => !Number.isNaN(value))
    .sort((a, b) => b.value - a.value || a.index - b.index)
    .slice(0, topK === 0 ? row.length : topK);
  const top = ranked[0]?.value ?? 0;
  const weights = row.map(() => 0);
  for (const { value, index } of ranked)
    weights[index] = value === top ? 1 : Math.exp((value - top) / temperature);
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map(weight => weight / total);
}

/** Fails unless `token` may be what `u` draws: u lies in its share of [0, 1), give or take float32 rounding. */
function expectDrawn(token: number, u: number, shares: number[]): void {
  const before = shares.slice(0, token).reduce((a, b) => a + b, 0);
  expect(shares[token]).toBeGreaterThan(0);
  expect(u).toBeGreaterThan(before - 1e-5);
  expect(u).toBeLessThan(before + shares[token]! + 1e-5);
}

describe.each(['thread', 'workgroup'] as const)('argmax, %s form', tested => {
  beforeAll(() => {
    form = tested;
  });

  it('takes the largest, the lowest index among equals', async () => {
    expect(await argmaxOf([[5]])).toEqual([0]);
    expect(
      await argmaxOf([
        [-3, -1, -1],
        [2, 2, 2],
        [0, -0, 0],
        [-0, 0, 0],
        [1, 2, 3],
      ]),
    ).toEqual([1, 0, 0, 0, 2]);
  });

  it('never takes NaN where there is a number', async () => {
    expect(
      await argmaxOf([
        [NaN, -1, -2],
        [-Infinity, NaN, -Infinity],
        [NaN, NaN, -Infinity],
        [NaN, NaN, NaN],
      ]),
    ).toEqual([1, 0, 2, 0]);
    expect(
      await argmaxOf([
        [3, Infinity, Infinity],
        [-Infinity, -3e38, -Infinity],
      ]),
    ).toEqual([1, 1]);
  });

  it('agrees with the CPU on any shape', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 70 }),
        fc.nat(),
        async (R, V, seed) => {
          const random = seeded(seed);
          // Few different values, so that ties are common.
          const rows = Array.from({ length: R }, () =>
            Array.from({ length: V }, () => Math.floor(9 * random()) - 4),
          );
          expect(await argmaxOf(rows)).toEqual(rows.map(row => row.indexOf(Math.max(...row))));
        },
      ),
      { numRuns: 20, seed: 3 },
    );
  });
});

describe.each(['thread', 'workgroup'] as const)('sample, %s form', tested => {
  beforeAll(() => {
    form = tested;
  });

  it('draws the token in whose share of [0, 1) the number lies', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 300 }),
        fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 310 })),
        fc.constantFrom(0.3, 1, 2.5),
        fc.boolean(),
        fc.nat(),
        async (R, V, topK, temperature, coarse, seed) => {
          const random = seeded(seed);
          const values = normal([R * V], random, 2).data.map(x => (coarse ? Math.round(x) : x));
          const rows = Array.from({ length: R }, (_, r) => Array.from(values.subarray(r * V, (r + 1) * V)));
          const uniforms = rows.map(() => Math.fround(random()));
          const settings = { temperature, topK };
          const tokens = await sampleOf(rows, uniforms, settings);
          for (const [r, token] of tokens.entries())
            expectDrawn(token, uniforms[r]!, probabilities(rows[r]!, settings));
          expect(await sampleOf(rows, uniforms, settings)).toEqual(tokens);
        },
      ),
      { numRuns: 40, seed: 4 },
    );
  });

  it('draws each token about as often as its probability', async () => {
    const row = [1, 0, -1, 0.5, 2];
    const settings = { temperature: 1.3, topK: 3 };
    const R = 500;
    const uniforms = Array.from({ length: R }, (_, r) => (r + 0.5) / R);
    const tokens = await sampleOf(
      Array.from({ length: R }, () => row),
      uniforms,
      settings,
    );
    for (const [v, p] of probabilities(row, settings).entries())
      expect(Math.abs(tokens.filter(token => token === v).length - p * R)).toBeLessThan(2);
  });

  it('takes the first and the last of the kept tokens at the ends', async () => {
    const rows = [
      [-9, 1, 2, 1, -9],
      [-9, 1, 2, 1, -9],
    ];
    expect(await sampleOf(rows, [0, 1 - 2 ** -24], { temperature: 1, topK: 3 })).toEqual([1, 3]);
    // Among equals at the edge of the top k, the lower index stays.
    expect(await sampleOf(rows, [0, 1 - 2 ** -24], { temperature: 1, topK: 2 })).toEqual([1, 2]);
  });

  it('is argmax at temperature 0 and for k = 1', async () => {
    const rows = [
      [0, 3, 1],
      [7, 7, 0],
    ];
    expect(await sampleOf(rows, [0.99, 0.99], { temperature: 0, topK: 0 })).toEqual([1, 0]);
    expect(await sampleOf(rows, [0.99, 0.99], { temperature: 5, topK: 1 })).toEqual([1, 0]);
  });

  it('never draws NaN or -Infinity, and takes +Infinity for certain', async () => {
    const settings = { temperature: 1, topK: 0 };
    for (const u of [0, 0.3, 0.7, 1 - 2 ** -24]) {
      const rows = [
        [NaN, -Infinity, 1, -Infinity],
        [NaN, 0, Infinity, NaN],
        [NaN, NaN, NaN, NaN],
      ];
      expect(await sampleOf(rows, [u, u, u], settings)).toEqual([2, 2, 0]);
      expect(await sampleOf(rows, [u, u, u], { temperature: 1, topK: 2 })).toEqual([2, 2, 0]);
    }
  });

  it('refuses settings that mean nothing', () => {
    const logits = upload(gpu, Float32Array.of(1, 2), [1, 2]);
    const u = upload(gpu, Float32Array.of(0.5), [1]);
    expect(() => sample(gpu, logits, u, { temperature: -1, topK: 0 })).toThrow(/temperature -1/);
    expect(() => sample(gpu, logits, u, { temperature: 1, topK: 1.5 })).toThrow(/top-k 1.5/);
    for (const tensor of [logits, u]) tensor.free();
  });
});
