// LayerNorm's row. Rows have large offsets (which a variance by E[x²] - E[x]² would not survive) and never a
// spread near zero, where 1 / sqrt(variance) would magnify the rounding of x itself.
import fc from 'fast-check';
import { layernorm } from '../../src/ops/layernorm.ts';
import { type Arr, arr, normal, type OpCase, ROW_FORMS } from './case.ts';

interface Dims extends Record<string, number> {
  M: number;
  C: number;
}

interface CpuAttrs {
  readonly eps: number;
}

/** mean and 1 / sqrt(variance + eps) of row m. */
function statistics(x: Arr, m: number, eps: number): { mean: number; rstd: number } {
  const C = x.shape[1]!;
  let mean = 0;
  for (let c = 0; c < C; c++) mean += x.data[m * C + c]! / C;
  let variance = 0;
  for (let c = 0; c < C; c++) variance += (x.data[m * C + c]! - mean) ** 2 / C;
  return { mean, rstd: 1 / Math.sqrt(variance + eps) };
}

function forward(x: Arr, gamma: Arr, beta: Arr, eps: number): Arr {
  const [M = 0, C = 0] = x.shape;
  const y = arr([M, C]);
  for (let m = 0; m < M; m++) {
    const { mean, rstd } = statistics(x, m, eps);
    for (let c = 0; c < C; c++)
      y.data[m * C + c] = (x.data[m * C + c]! - mean) * rstd * gamma.data[c]! + beta.data[c]!;
  }
  return y;
}

function backward(x: Arr, gamma: Arr, eps: number, dy: Arr): Record<string, Arr> {
  const [M = 0, C = 0] = x.shape;
  const dx = arr([M, C]);
  const dgamma = arr([C]);
  const dbeta = arr([C]);
  for (let m = 0; m < M; m++) {
    const { mean, rstd } = statistics(x, m, eps);
    const n = (c: number): number => (x.data[m * C + c]! - mean) * rstd;
    const g = (c: number): number => dy.data[m * C + c]! * gamma.data[c]!;
    let averageG = 0;
    let averageGN = 0;
    for (let c = 0; c < C; c++) {
      averageG += g(c) / C;
      averageGN += (g(c) * n(c)) / C;
      dgamma.data[c]! += dy.data[m * C + c]! * n(c);
      dbeta.data[c]! += dy.data[m * C + c]!;
    }
    for (let c = 0; c < C; c++) dx.data[m * C + c] = rstd * (g(c) - averageG - n(c) * averageGN);
  }
  return { x: dx, gamma: dgamma, beta: dbeta };
}

export const layernormCase: OpCase<Dims, CpuAttrs> = {
  name: 'layernorm',
  op: layernorm,
  dims: fc.record({ M: fc.integer({ min: 1, max: 40 }), C: fc.integer({ min: 1, max: 70 }) }),
  fixed: [
    { M: 1, C: 1 },
    { M: 1, C: 2 },
    { M: 7, C: 1 },
    { M: 3, C: 64 },
    { M: 17, C: 31 },
    { M: 257, C: 13 },
    { M: 258, C: 48 },
    { M: 600, C: 5 },
    { M: 2, C: 769 },
  ],
  bench: [
    { M: 2048, C: 128 },
    { M: 384, C: 96 },
    { M: 32, C: 96 },
    { M: 16, C: 96 },
    { M: 1, C: 768 },
  ],
  // A narrow row leaves a gradient little room: with C = 2, dx is eps / (variance + eps) of its terms, which cancel
  // but for that. A large eps keeps the result above the rounding of the terms.
  cpuAttrs: ({ C }) => ({ eps: C < 8 ? 0.1 : 1e-5 }),
  inputs({ M, C }, random) {
    const offsets = Array.from({ length: M }, () => 8 * random() - 4);
    return {
      x: arr([M, C], i => {
        const spread = ((i % C) % 2 === 0 ? 1 : -1) + 1.5 * (random() - 0.5);
        return Math.fround(offsets[Math.floor(i / C)]! + spread);
      }),
      gamma: normal([C], random),
      beta: normal([C], random),
    };
  },
  forward: ({ x, gamma, beta }, { eps }) => forward(x!, gamma!, beta!, eps),
  backward: ({ x, gamma }, { eps }, dy) => backward(x!, gamma!, eps, dy),
  parameters: ['gamma', 'beta'],
  attrs: (_gpu, attrs) => ({ attrs, owned: {} }),
  cost: ({ M, C }) => ({ flops: 8 * M * C, bytes: 4 * (2 * M * C + 2 * C + 2 * M) }),
  backwardCost: ({ M, C }) => ({ flops: 15 * M * C, bytes: 4 * (3 * M * C + 3 * C + 2 * M) }),
  variants: ROW_FORMS,
};
