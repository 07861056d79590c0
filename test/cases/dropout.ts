// Dropout's row: with and without a residual, rows of any first column. The reference draws the masks with the
// generator's own TypeScript, which test/ops-dropout.test.ts holds against known answers.
import fc from 'fast-check';
import { dropout } from '../../src/ops/dropout.ts';
import { keepsChannel, threefry, type Words } from '../../src/ops/masks.ts';
import { upload } from '../../src/tensor.ts';
import { type Arr, arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  B: number;
  /** Columns, of which the first is t0. */
  T: number;
  C: number;
  t0: number;
  residual: number;
}

interface CpuAttrs {
  readonly B: number;
  readonly t0: number;
  readonly rate: number;
  readonly site: number;
  readonly first: Uint32Array;
  /** [sites][B] */
  readonly keys: readonly (readonly Words[])[];
}

const SITES = 3;

/** Keys as a training step would have them: any two words. */
export function randomKeys(B: number, random: () => number): Words[][] {
  const word = (): number => Math.floor(random() * 2 ** 32);
  return Array.from({ length: SITES }, () =>
    Array.from({ length: B }, (): Words => threefry([word(), word()], [0, 0])),
  );
}

export const uploadable = (keys: readonly (readonly Words[])[]): Uint32Array =>
  Uint32Array.from(keys.flat(2));

/** x where it is kept, 1 / (1 - rate) times; else 0. */
function dropped(x: Arr, { B, t0, rate, site, first, keys }: CpuAttrs): Arr {
  const C = x.shape[1]!;
  return arr(x.shape, i => {
    const row = Math.floor(i / C);
    const b = row % B;
    const position = (t0 + Math.floor(row / B) - first[b]!) >>> 0;
    return keepsChannel(keys[site]![b]!, position, i % C, rate) ? x.data[i]! / (1 - rate) : 0;
  });
}

export const dropoutCase: OpCase<Dims, CpuAttrs> = {
  name: 'dropout',
  op: dropout,
  dims: fc.record({
    B: fc.integer({ min: 1, max: 4 }),
    T: fc.integer({ min: 1, max: 6 }),
    C: fc.integer({ min: 1, max: 40 }),
    t0: fc.integer({ min: 0, max: 9 }),
    residual: fc.integer({ min: 0, max: 1 }),
  }),
  fixed: [
    { B: 1, T: 1, C: 1, t0: 0, residual: 0 },
    { B: 1, T: 1, C: 2, t0: 3, residual: 1 },
    { B: 3, T: 5, C: 61, t0: 2, residual: 1 },
    { B: 2, T: 4, C: 64, t0: 0, residual: 0 },
  ],
  bench: [
    { B: 16, T: 128, C: 128, t0: 0, residual: 1 },
    { B: 16, T: 24, C: 96, t0: 0, residual: 1 },
    { B: 32, T: 1, C: 96, t0: 20, residual: 1 },
    { B: 1, T: 1, C: 768, t0: 20, residual: 1 },
  ],
  cpuAttrs: ({ B, t0 }, random) => ({
    B,
    t0,
    rate: 0.1 + 0.7 * random(),
    site: Math.floor(random() * SITES),
    first: Uint32Array.from({ length: B }, () => Math.floor(random() * (t0 + 2))),
    keys: randomKeys(B, random),
  }),
  inputs({ B, T, C, residual }, random) {
    const x = normal([T * B, C], random);
    return residual ? { x, residual: normal([T * B, C], random) } : { x };
  },
  forward({ x, residual }, attrs) {
    const y = dropped(x!, attrs);
    return arr(y.shape, i => y.data[i]! + (residual?.data[i] ?? 0));
  },
  backward({ residual }, attrs, dy) {
    const x = dropped(dy, attrs);
    return residual ? { x, residual: arr(dy.shape, i => dy.data[i]!) } : { x };
  },
  attrs(gpu, { B, t0, rate, site, first, keys }) {
    const owned = {
      keys: upload(gpu, uploadable(keys), [SITES, B, 2]),
      first: upload(gpu, first, [B]),
    };
    return { attrs: { masks: { rate, keys: owned.keys, site }, first: owned.first, t0 }, owned };
  },
  cost: ({ B, T, C, residual }) => ({
    flops: (1 + residual) * B * T * C,
    bytes: 4 * B * T * C * (2 + residual),
  }),
  backwardCost: ({ B, T, C, residual }) => ({ flops: B * T * C, bytes: 4 * B * T * C * (2 + 2 * residual) }),
};
