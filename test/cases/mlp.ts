// The feed-forward layer's row: two naive products with the tanh form of GELU between.
import fc from 'fast-check';
import { mlp } from '../../src/ops/mlp.ts';
import { type Arr, arr, normal, type OpCase } from './case.ts';
import { geluCase } from './gelu.ts';
import { linearCase, productVariants } from './matmul.ts';

type Dims = { M: number; C: number; I: number };

/** h = x·w1 + b1 and g = gelu(h). */
function hidden({ M, C, I }: Dims, { x, w1, b1 }: Record<string, Arr>): { h: Arr; g: Arr } {
  const dims = { M, N: I, K: C, bias: 1, residual: 0 };
  const h = linearCase.forward({ x: x!, w: w1!, b: b1! }, { dims });
  return { h, g: geluCase.forward({ x: h }, undefined) };
}

export const mlpCase: OpCase<Dims, { dims: Dims }> = {
  name: 'mlp',
  op: mlp,
  dims: fc.record({
    M: fc.integer({ min: 1, max: 40 }),
    C: fc.integer({ min: 1, max: 24 }),
    I: fc.integer({ min: 1, max: 70 }),
  }),
  fixed: [
    { M: 1, C: 1, I: 1 },
    { M: 3, C: 8, I: 32 },
    { M: 37, C: 13, I: 41 },
    { M: 64, C: 32, I: 128 },
    { M: 100, C: 20, I: 76 },
  ],
  bench: [
    { M: 2048, C: 128, I: 512 },
    { M: 384, C: 96, I: 384 },
    { M: 32, C: 96, I: 384 },
    { M: 16, C: 96, I: 384 },
    { M: 1, C: 768, I: 3072 },
  ],
  cpuAttrs: dims => ({ dims }),
  inputs: ({ M, C, I }, random) => ({
    x: normal([M, C], random),
    w1: normal([C, I], random, C ** -0.5),
    b1: normal([I], random),
    w2: normal([I, C], random, I ** -0.5),
    b2: normal([C], random),
    residual: normal([M, C], random),
  }),
  forward(inputs, { dims }) {
    const { g } = hidden(dims, inputs);
    const { w2, b2, residual } = inputs;
    const second = { M: dims.M, N: dims.C, K: dims.I, bias: 1, residual: 1 };
    return linearCase.forward({ x: g, w: w2!, b: b2!, residual: residual! }, { dims: second });
  },
  backward(inputs, { dims }, dy) {
    const { M, C, I } = dims;
    const { h, g } = hidden(dims, inputs);
    const second = linearCase.backward(
      { x: g, w: inputs.w2!, b: inputs.b2! },
      { dims: { M, N: C, K: I, bias: 1, residual: 0 } },
      dy,
    );
    const { x: dh } = geluCase.backward({ x: h }, undefined, second.x!);
    const first = linearCase.backward(
      { x: inputs.x!, w: inputs.w1!, b: inputs.b1! },
      { dims: { M, N: I, K: C, bias: 1, residual: 0 } },
      dh!,
    );
    const residual = arr(dy.shape, i => dy.data[i]!);
    return { x: first.x!, w1: first.w!, b1: first.b!, w2: second.w!, b2: second.b!, residual };
  },
  parameters: ['w1', 'b1', 'w2', 'b2'],
  attrs: () => ({ attrs: {}, owned: {} }),
  // The backward reads h and g, which the forward leaves.
  cost: ({ M, C, I }) => ({ flops: 4 * M * C * I, bytes: 4 * (2 * C * I + 2 * M * I + 3 * M * C) }),
  backwardCost: ({ M, C, I }) => ({ flops: 8 * M * C * I, bytes: 4 * (4 * C * I + 2 * M * I + 4 * M * C) }),
  variants: productVariants(({ M = 0, C = 0, I = 0 }) => [M, I, C]),
};
