// Softmax's row. One row of each batch is shifted far up and one far down: only differences count.
import fc from 'fast-check';
import { softmax } from '../../src/ops/softmax.ts';
import { type Arr, arr, type OpCase, ROW_FORMS } from './case.ts';

interface Dims extends Record<string, number> {
  R: number;
  V: number;
}

function rows(x: Arr): { r: number; y: Float64Array }[] {
  const [R = 0, V = 0] = x.shape;
  return Array.from({ length: R }, (_, r) => {
    const row = x.data.subarray(r * V, (r + 1) * V);
    const top = row.reduce((a, b) => Math.max(a, b));
    const powers = row.map(value => Math.exp(value - top));
    const sum = powers.reduce((a, b) => a + b, 0);
    return { r, y: powers.map(power => power / sum) };
  });
}

export const softmaxCase: OpCase<Dims, null> = {
  name: 'softmax',
  op: softmax,
  dims: fc.record({ R: fc.integer({ min: 1, max: 40 }), V: fc.integer({ min: 1, max: 50 }) }),
  fixed: [
    { R: 1, V: 1 },
    { R: 1, V: 2 },
    { R: 17, V: 8 },
    { R: 33, V: 7 },
    { R: 5, V: 1009 },
    { R: 300, V: 41 },
  ],
  bench: [
    { R: 2048, V: 64 },
    { R: 32, V: 64 },
    { R: 16, V: 64 },
    { R: 32, V: 8192 },
    { R: 1, V: 50257 },
  ],
  cpuAttrs: () => null,
  inputs: ({ R, V }, random) => ({
    // float32 holds these sums exactly enough: steps of 2^-16 up to 256.
    x: arr([R, V], i => {
      const shift = Math.floor(i / V) % 3;
      return Math.round((4 * random() - 1) * 65536) / 65536 + (shift === 0 ? 0 : shift === 1 ? 200 : -200);
    }),
  }),
  forward({ x }) {
    const y = arr(x!.shape);
    for (const { r, y: row } of rows(x!)) y.data.set(row, r * x!.shape[1]!);
    return y;
  },
  backward({ x }, _attrs, dy) {
    const V = x!.shape[1]!;
    const dx = arr(x!.shape);
    for (const { r, y } of rows(x!)) {
      const g = dy.data.subarray(r * V, (r + 1) * V);
      // y[v] = e[v] / (sum of e): dx[v] = y[v] (dy[v] - sum of dy y)
      const mean = y.reduce((sum, value, v) => sum + value * g[v]!, 0);
      for (let v = 0; v < V; v++) dx.data[r * V + v] = y[v]! * (g[v]! - mean);
    }
    return { x: dx };
  },
  attrs: () => ({ attrs: {}, owned: {} }),
  cost: ({ R, V }) => ({ flops: 5 * R * V, bytes: 8 * R * V }),
  backwardCost: ({ R, V }) => ({ flops: 4 * R * V, bytes: 12 * R * V }),
  variants: ROW_FORMS,
};
