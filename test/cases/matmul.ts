// Rows of the matrix products: naive float64 references, forward and backward.
import fc from 'fast-check';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { linear } from '../../src/ops/linear.ts';
import { type MatmulAttrs, matmul } from '../../src/ops/matmul.ts';
import { matmulVariants } from '../../src/ops/product.ts';
import { type Arr, arr, type Dims, normal, type OpCase, type Variants } from './case.ts';

/** Variants of products of matrices whose sides are `sizes`, whichever is the inner one and whatever is transposed. */
export function productVariants(sizes: (dims: Dims) => readonly [number, number, number]): Variants {
  const names = (gpu: Gpu, dims: Dims): string[] => {
    const [M, N, K] = sizes(dims);
    const known = new Set<string>();
    for (const size of [
      { M, N, K },
      { M, N: K, K: N },
      { M: K, N, K: M },
    ])
      for (const form of [0, 1, 2, 3]) {
        const shape = { ...size, transposeA: form >= 2, transposeB: form % 2 === 1, epilogue: false };
        for (const name of matmulVariants(gpu, shape)) known.add(name);
      }
    return [...known];
  };
  return { attribute: 'variant', names };
}

const VARIANTS = productVariants(({ M = 0, N = 0, K = 0 }) => [M, N, K]);

type MatmulDims = { M: number; N: number; K: number; batch: number; form: number };

/** c[e, m, n] = sum over k of a(e, m, k) * b(e, k, n), where a and b may be stored transposed. */
function referenceProduct(a: Arr, b: Arr, attrs: MatmulAttrs, M: number, N: number, K: number): Arr {
  const batch = attrs.batch ?? 1;
  const c = arr(batch > 1 ? [batch, M, N] : [M, N]);
  for (let e = 0; e < batch; e++)
    for (let m = 0; m < M; m++)
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++)
          sum += a.data[aIndex(attrs, M, K, e, m, k)]! * b.data[bIndex(attrs, N, K, e, k, n)]!;
        c.data[(e * M + m) * N + n] = sum;
      }
  return c;
}

function aIndex(attrs: MatmulAttrs, M: number, K: number, e: number, m: number, k: number): number {
  return e * M * K + (attrs.transposeA ? k * M + m : m * K + k);
}

function bIndex(attrs: MatmulAttrs, N: number, K: number, e: number, k: number, n: number): number {
  return e * N * K + (attrs.transposeB ? n * K + k : k * N + n);
}

function shaped(batch: number, rows: number, columns: number): number[] {
  return batch > 1 ? [batch, rows, columns] : [rows, columns];
}

/** form: 0 A·B, 1 A·Bᵀ, 2 Aᵀ·B, 3 Aᵀ·Bᵀ. */
export const matmulCase: OpCase<MatmulDims, MatmulAttrs & { dims: MatmulDims }> = {
  name: 'matmul',
  op: matmul,
  dims: fc.record({
    M: fc.integer({ min: 1, max: 70 }),
    N: fc.integer({ min: 1, max: 70 }),
    K: fc.integer({ min: 1, max: 70 }),
    batch: fc.constantFrom(1, 1, 3),
    form: fc.integer({ min: 0, max: 3 }),
  }),
  fixed: [
    { M: 1, N: 1, K: 1, batch: 1, form: 0 },
    { M: 16, N: 16, K: 16, batch: 1, form: 1 },
    { M: 17, N: 33, K: 65, batch: 1, form: 2 },
    { M: 97, N: 101, K: 103, batch: 1, form: 0 },
    { M: 31, N: 61, K: 7, batch: 2, form: 3 },
    { M: 64, N: 64, K: 64, batch: 2, form: 1 },
    { M: 5, N: 1, K: 131, batch: 1, form: 1 },
  ],
  bench: [0, 1, 2].flatMap(form => [
    { M: 512, N: 512, K: 512, batch: 1, form },
    { M: 384, N: 320, K: 640, batch: 1, form },
    { M: 384, N: 288, K: 96, batch: 1, form },
    { M: 384, N: 96, K: 384, batch: 1, form },
    { M: 32, N: 288, K: 96, batch: 1, form },
    { M: 16, N: 288, K: 96, batch: 1, form },
    { M: 1, N: 288, K: 96, batch: 1, form },
  ]),
  cpuAttrs: dims => ({
    dims,
    batch: dims.batch,
    transposeA: dims.form >= 2,
    transposeB: dims.form % 2 === 1,
  }),
  inputs({ M, N, K, batch }, random, { transposeA, transposeB }) {
    return {
      a: normal(transposeA ? shaped(batch, K, M) : shaped(batch, M, K), random),
      b: normal(transposeB ? shaped(batch, N, K) : shaped(batch, K, N), random),
    };
  },
  forward: ({ a, b }, attrs) => referenceProduct(a!, b!, attrs, attrs.dims.M, attrs.dims.N, attrs.dims.K),
  backward({ a, b }, attrs, dc) {
    const { M, N, K, batch } = attrs.dims;
    const da = arr(a!.shape);
    const db = arr(b!.shape);
    for (let e = 0; e < batch; e++)
      for (let m = 0; m < M; m++)
        for (let n = 0; n < N; n++)
          for (let k = 0; k < K; k++) {
            const i = aIndex(attrs, M, K, e, m, k);
            const j = bIndex(attrs, N, K, e, k, n);
            const g = dc.data[(e * M + m) * N + n]!;
            da.data[i]! += g * b!.data[j]!;
            db.data[j]! += g * a!.data[i]!;
          }
    return { a: da, b: db };
  },
  parameters: ['b'], // as the head is of logits
  attrs: (_, attrs) => ({ attrs, owned: {} }),
  cost: ({ M, N, K, batch }) => ({
    flops: 2 * batch * M * N * K,
    bytes: 4 * batch * (M * K + K * N + M * N),
  }),
  backwardCost: ({ M, N, K, batch }) => ({
    flops: 4 * batch * M * N * K,
    bytes: 4 * batch * (2 * M * K + 2 * K * N + M * N),
  }),
  variants: VARIANTS,
};

type LinearDims = { M: number; N: number; K: number; bias: number; residual: number };

export const linearCase: OpCase<LinearDims, { dims: LinearDims }> = {
  name: 'linear',
  op: linear,
  dims: fc.record({
    M: fc.integer({ min: 1, max: 70 }),
    N: fc.integer({ min: 1, max: 70 }),
    K: fc.integer({ min: 1, max: 70 }),
    bias: fc.integer({ min: 0, max: 1 }),
    residual: fc.integer({ min: 0, max: 1 }),
  }),
  fixed: [
    { M: 1, N: 1, K: 1, bias: 1, residual: 1 },
    { M: 37, N: 29, K: 41, bias: 1, residual: 1 },
    { M: 300, N: 5, K: 3, bias: 1, residual: 0 }, // more rows than one block of column sums
    { M: 32, N: 32, K: 32, bias: 0, residual: 1 },
    { M: 100, N: 68, K: 44, bias: 1, residual: 1 }, // multiples of four that no tile divides
    { M: 4, N: 36, K: 8, bias: 1, residual: 0 },
  ],
  bench: [
    { M: 2048, N: 512, K: 128, bias: 1, residual: 0 },
    { M: 384, N: 384, K: 96, bias: 1, residual: 0 },
    { M: 384, N: 96, K: 384, bias: 1, residual: 0 },
    { M: 32, N: 384, K: 96, bias: 1, residual: 0 },
    { M: 16, N: 384, K: 96, bias: 1, residual: 0 },
    { M: 1, N: 3072, K: 768, bias: 1, residual: 0 },
  ],
  cpuAttrs: dims => ({ dims }),
  inputs({ M, N, K, bias, residual }, random): Record<string, Arr> {
    return {
      x: normal([M, K], random),
      w: normal([K, N], random),
      ...(bias && { b: normal([N], random) }),
      ...(residual && { residual: normal([M, N], random) }),
    };
  },
  forward({ x, w, b, residual }, { dims: { M, N, K } }) {
    const y = referenceProduct(x!, w!, {}, M, N, K);
    for (let i = 0; i < y.data.length; i++) y.data[i]! += (b?.data[i % N] ?? 0) + (residual?.data[i] ?? 0);
    return y;
  },
  backward({ x, w, b, residual }, { dims }, dy) {
    const { a, b: dw } = matmulCase.backward({ a: x!, b: w! }, { dims: { ...dims, batch: 1, form: 0 } }, dy);
    const gradients: Record<string, Arr> = { x: a!, w: dw! };
    if (b) {
      const db = arr([dims.N]);
      for (let i = 0; i < dy.data.length; i++) db.data[i % dims.N]! += dy.data[i]!;
      gradients.b = db;
    }
    if (residual) gradients.residual = dy;
    return gradients;
  },
  parameters: ['w', 'b'],
  attrs: () => ({ attrs: {}, owned: {} }),
  cost: ({ M, N, K }) => ({ flops: 2 * M * N * K, bytes: 4 * (M * K + K * N + M * N) }),
  backwardCost: ({ M, N, K }) => ({ flops: 4 * M * N * K, bytes: 4 * (2 * M * K + 2 * K * N + M * N) }),
  variants: VARIANTS,
};
