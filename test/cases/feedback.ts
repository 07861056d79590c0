// The feedback's row: hidden states enter the first of T columns where the mask says, and take gradient only there.
import fc from 'fast-check';
import { feedback } from '../../src/ops/feedback.ts';
import { upload } from '../../src/tensor.ts';
import { arr, normal, type OpCase } from './case.ts';

interface Dims extends Record<string, number> {
  B: number;
  T: number;
  C: number;
}

export const feedbackCase: OpCase<Dims, Uint32Array> = {
  name: 'feedback',
  op: feedback,
  dims: fc.record({
    B: fc.integer({ min: 1, max: 20 }),
    T: fc.integer({ min: 1, max: 3 }),
    C: fc.integer({ min: 1, max: 30 }),
  }),
  fixed: [
    { B: 1, T: 1, C: 1 },
    { B: 3, T: 1, C: 4 },
    { B: 5, T: 7, C: 6 },
    { B: 17, T: 2, C: 65 },
  ],
  bench: [
    { B: 64, T: 1, C: 96 },
    { B: 32, T: 1, C: 96 },
    { B: 16, T: 20, C: 96 },
    { B: 1, T: 1, C: 768 },
  ],
  /** The mask. */
  cpuAttrs: ({ B }, random) => Uint32Array.from({ length: B }, () => (random() < 0.6 ? 1 : 0)),
  inputs: ({ B, T, C }, random) => ({ embedded: normal([T * B, C], random), hidden: normal([B, C], random) }),
  forward({ embedded, hidden }, mask) {
    const C = embedded!.shape[1]!;
    return arr(embedded!.shape, i => {
      const r = Math.floor(i / C);
      return embedded!.data[i]! + (r < mask.length && mask[r]! ? hidden!.data[i]! : 0);
    });
  },
  backward({ hidden }, mask, dy) {
    const C = dy.shape[1]!;
    return {
      embedded: arr(dy.shape, i => dy.data[i]!),
      hidden: arr(hidden!.shape, i => (mask[Math.floor(i / C)]! ? dy.data[i]! : 0)),
    };
  },
  attrs(gpu, mask) {
    const tensor = upload(gpu, mask, [mask.length]);
    return { attrs: { mask: tensor }, owned: { mask: tensor } };
  },
  cost: ({ B, T, C }) => ({ flops: B * C, bytes: 4 * (2 * T * B * C + B * C + B) }),
  backwardCost: ({ B, T, C }) => ({ flops: 0, bytes: 4 * (2 * T * B * C + B * C + B) }),
};
