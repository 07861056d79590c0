// Dropout: the generator against published answers, the share that it keeps, that a mask belongs to a row and a
// position and to nothing else, and attention with dropped weights against float64 however its columns are cut.
import { describe, expect, test } from 'vitest';
import { attention, KvStore } from '../src/ops/attention.ts';
import { dropout } from '../src/ops/dropout.ts';
import { maskKeys, threefry, type Words } from '../src/ops/masks.ts';
import { empty, read, readU32, type Tensor, upload } from '../src/tensor.ts';
import { type AttentionCpuAttrs, attentionBackward, attentionForward } from './cases/attention.ts';
import { type Arr, arr, normal } from './cases/case.ts';
import { checkReference } from './check-case.ts';
import { testGpu } from './device.ts';
import { relativeError, seeded } from './numbers.ts';
import { onDevice } from './run-case.ts';

const gpu = await testGpu();
const ONES = 0xffffffff;
const PI: readonly [Words, Words] = [
  [0x13198a2e, 0x03707344],
  [0x243f6a88, 0x85a308d3],
];

// The file kat_vectors of the authors' library Random123.
test.each([
  [13, [0, 0], [0, 0], [0x9d1c5ec6, 0x8bd50731]],
  [13, [ONES, ONES], [ONES, ONES], [0xfd36d048, 0x2d17272c]],
  [13, ...PI, [0xba3e4725, 0xf27d669e]],
  [20, [0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
  [20, [ONES, ONES], [ONES, ONES], [0x1cb996fc, 0xbb002be7]],
  [20, ...PI, [0xc4923a9c, 0x483df7a0]],
] as [number, Words, Words, Words][])(
  'threefry of %i rounds gives known answers',
  (rounds, key, counter, known) => {
    expect(threefry(key, counter, rounds)).toEqual(known);
  },
);

/** Which of [T·B, C] ones are kept, as 0 and 1. */
async function kept(
  { B, T, C, t0 = 0, site = 0 }: { B: number; T: number; C: number; t0?: number; site?: number },
  { seed = 1, step = 2, rows = [...Array(B).keys()], first = new Uint32Array(B), rate = 0.3 } = {},
): Promise<Float32Array> {
  const x = upload(gpu, new Float32Array(T * B * C).fill(1 - rate), [T * B, C]);
  const keys = maskKeys(gpu, { seed, step, rows }, 4);
  const pads = upload(gpu, first, [B]);
  const { output } = dropout.forward(gpu, { x }, { masks: { rate, keys, site }, first: pads, t0 });
  const values = await read(output);
  for (const tensor of [x, keys, pads, output]) tensor.free();
  return values.map(Math.round);
}

/** Rows [from, to) of [T·B, C]. */
const part = (values: Float32Array, C: number, from: number, to: number) => values.slice(from * C, to * C);

describe('the masks', () => {
  test.each([0.1, 0.5, 0.9])('drop their share, rate %f', async rate => {
    const dims = { B: 4, T: 50, C: 500 };
    const values = await kept(dims, { rate });
    const share = values.reduce((sum, value) => sum + value, 0) / values.length;
    // Five standard deviations of a share of 100,000 draws.
    expect(Math.abs(share - (1 - rate))).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / values.length));
    // Neighbours, in a row and from column to column, are as often both kept as independent draws.
    for (const by of [1, 2, dims.C, dims.C * dims.B]) {
      const pairs = values.length - by;
      const both = values.slice(by).reduce((sum, value, i) => sum + value * values[i]!, 0) / pairs;
      const wanted = (1 - rate) ** 2;
      expect(Math.abs(both - wanted)).toBeLessThan(6 * Math.sqrt((wanted * (1 - wanted)) / pairs));
    }
  });

  test('belong to seed, step, site and row', async () => {
    const dims = { B: 2, T: 3, C: 40 };
    const values = await kept(dims);
    expect(await kept(dims)).toEqual(values);
    for (const others of [
      await kept(dims, { seed: 2 }),
      await kept(dims, { step: 3 }),
      await kept({ ...dims, site: 1 }),
      await kept(dims, { rows: [2, 3] }),
    ]) {
      const same = others.filter((value, i) => value === values[i]).length / values.length;
      expect(same).toBeLessThan(0.75); // 0.58 of independent ones; all 240 differ in none but by a fault
    }
  });

  test('are those of a position, however rows are padded, cut into passes and put together', async () => {
    const C = 12;
    const whole = await kept({ B: 2, T: 6, C }, { rows: [5, 9] });
    expect(await kept({ B: 2, T: 2, C, t0: 3 }, { rows: [5, 9] })).toEqual(part(whole, C, 6, 10));
    const alone = await kept({ B: 1, T: 8, C }, { rows: [9], first: Uint32Array.of(2) });
    for (let t = 0; t < 6; t++)
      expect(part(alone, C, t + 2, t + 3), `column ${t}`).toEqual(part(whole, C, 2 * t + 1, 2 * t + 2));
  });

  test('of a rate that is none are refused', async () => {
    await expect(kept({ B: 1, T: 1, C: 1 }, { rate: 1 })).rejects.toThrow(
      'rate 1 is not from 0 on and below 1',
    );
  });
});

describe('attention with dropped weights', () => {
  const [B, T, H] = [3, 13, 3];

  async function problem(D: number) {
    const random = seeded(D);
    const first = Uint32Array.of(0, 2, 5);
    const tensor = maskKeys(gpu, { seed: 3, step: 4, rows: [7, 1, 2] }, 2);
    const words = await readU32(tensor);
    const keys = Array.from({ length: B }, (_, b): Words => [words[2 * (B + b)]!, words[2 * (B + b) + 1]!]);
    const attrs: AttentionCpuAttrs = { B, H, first, masked: { rate: 0.4, keys } };
    const data = { qkv: normal([T * B, 3 * H * D], random), dOut: normal([T * B, H * D], random) };
    return { D, attrs, ...data, tensor };
  }

  const rowsFrom = ({ data, shape }: Arr, t0: number, t1: number): Arr => {
    const width = shape[1]!;
    return { data: data.slice(t0 * B * width, t1 * B * width), shape: [(t1 - t0) * B, width] };
  };

  test.each([[[13]], [[5, 6, 7, 13]], [[12, 13]]])('in passes that end at columns %j', async ends => {
    for (const D of [5, 8]) {
      const { attrs, qkv, dOut, tensor } = await problem(D);
      const store = KvStore.create(gpu, { columns: T, B, C: H * D, apart: ends.length > 1 ? ends[0]! : 0 });
      const first = upload(gpu, attrs.first, [B]);
      const masks = { rate: attrs.masked!.rate, keys: tensor, site: 1 };
      const out = arr([T * B, H * D]);
      const dqkv = arr([T * B, 3 * H * D]);
      const done = ends.map((t1, i) => {
        const t0 = ends[i - 1] ?? 0;
        const inputs = { qkv: onDevice(gpu, rowsFrom(qkv, t0, t1)) };
        const own = { store, t0, first, heads: H, masks };
        return { t0, t1, inputs, attrs: own, ...attention.forward(gpu, inputs, own) };
      });
      for (const { t0, t1, inputs, attrs: own, output, saved } of done.toReversed()) {
        const dy = onDevice(gpu, rowsFrom(dOut, t0, t1));
        const slot = { tensor: empty(gpu, inputs.qkv.shape), beta: 0 as const };
        if (attention.backward === 'not differentiable') throw new Error('attention has no backward');
        attention.backward(gpu, { inputs, attrs: own, output, saved }, dy, { qkv: slot });
        out.data.set(await read(output), t0 * B * H * D);
        dqkv.data.set(await read(slot.tensor), t0 * B * 3 * H * D);
        for (const used of [dy, slot.tensor, inputs.qkv, output, saved.lse] as Tensor[]) used.free();
      }
      expect(relativeError(out.data, attentionForward(qkv, attrs).data)).toBeLessThan(1e-5);
      expect(relativeError(dqkv.data, attentionBackward(qkv, attrs, dOut).data)).toBeLessThan(1e-5);
      for (const used of [first, tensor, store]) used.free();
    }
  });

  test('has a reference whose gradients are those of its differences', async () => {
    const { attrs, qkv, tensor } = await problem(5);
    const { attentionCase } = await import('./cases/attention.ts');
    const row = { ...attentionCase, cpuAttrs: () => attrs, inputs: () => ({ qkv }) };
    checkReference(row, { B, T, H, D: 5 }, 1);
    tensor.free();
  });
});
