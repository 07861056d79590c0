// Small runs that between them reach every kernel: each op's case, forward and backward, and the kernels that no
// op owns. Each checks values as well, so that the race detector is known to have seen the real computation.

import { copy, fill } from '../../src/flat.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { adamw, adamwScaled } from '../../src/ops/adamw.ts';
import { clipFactor } from '../../src/ops/clip.ts';
import { FIRST_SCALE, scaledClip, uploadScale } from '../../src/ops/loss-scale.ts';
import { matchNorm } from '../../src/ops/match-norm.ts';
import { sum, sumSquares } from '../../src/ops/reduce.ts';
import { argmax, sample } from '../../src/ops/sample.ts';
import type { Slot } from '../../src/tape.ts';
import { empty, read, readU32, type Tensor, upload } from '../../src/tensor.ts';
import { attentionCase } from '../../test/cases/attention.ts';
import { type Dims, normal, type OpCase } from '../../test/cases/case.ts';
import { crossEntropyCase } from '../../test/cases/cross-entropy.ts';
import { cases } from '../../test/cases/index.ts';

export interface Scene {
  readonly name: string;
  /** Runs on `gpu`, and throws WrongValues where the results are not those of the reference. */
  run(gpu: Gpu, random: () => number): Promise<void>;
}

/** The interpreter ran, but computed something else than the reference. */
export class WrongValues extends Error {}

/** Shapes small enough to interpret and large enough to share memory; other ops take their case's first shape. */
const DIMS: Readonly<Record<string, Dims>> = {
  add: { M: 5, C: 61 },
  attention: { B: 2, T: 3, H: 2, D: 3 },
  'cross-entropy': { R: 2, V: 70 },
  dropout: { B: 2, T: 3, C: 5, t0: 1, residual: 1 },
  embedding: { V: 5, P: 4, M: 6, C: 5, row0: 1, fed: 3, masked: 1 },
  'gather-rows': { M: 6, C: 5, R: 3 },
  gelu: { M: 3, C: 25 },
  layernorm: { M: 5, C: 67 },
  linear: { M: 5, N: 6, K: 3, bias: 1, residual: 1 },
  lookup: { M: 5, V: 4, C: 5 },
  matmul: { M: 3, N: 5, K: 17, batch: 1, form: 1 },
  mlp: { M: 3, C: 5, I: 6 },
  scale: { M: 5, C: 61 },
  'slice-rows': { M: 5, C: 5, from: 2, to: 4 },
  softmax: { R: 2, V: 70 },
};

function same(what: string, got: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++)
    // Infinity is itself, though the difference is NaN.
    if (
      got[i] !== expected[i] &&
      !(Math.abs(got[i]! - expected[i]!) <= 1e-4 * Math.max(1, Math.abs(expected[i]!)))
    )
      throw new WrongValues(`${what}[${i}] is ${got[i]}, not ${expected[i]}`);
}

/**
 * An op's case, with gradients overwritten (beta 0) and added to (beta 1). Of `linear` only the bias's: the others are
 * matmul's kernel again, and the interpreter takes half a second a tile.
 */
function ofCase(row: OpCase<Dims, unknown>, dims = DIMS[row.name] ?? row.fixed[0]!): Scene {
  const run = async (gpu: Gpu, random: () => number): Promise<void> => {
    const cpuAttrs = row.cpuAttrs(dims, random);
    const inputs = row.inputs(dims, random, cpuAttrs);
    const { attrs } = row.attrs(gpu, cpuAttrs, dims);
    const put = (data: ArrayLike<number>, shape: readonly number[]): Tensor =>
      upload(gpu, Float32Array.from(data), shape);
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, { data, shape }]) => [name, put(data, shape)]),
    );
    const { output, saved } = row.op.forward(gpu, tensors, attrs);
    const expected = row.forward(inputs, cpuAttrs);
    same(row.name, await read(output), expected.data);
    if (row.op.backward === 'not differentiable') return;
    const dOutput = normal(expected.shape, random);
    const gradients = row.backward(inputs, cpuAttrs, dOutput);
    const wanted = row.name === 'linear' ? ['b'] : Object.keys(gradients);
    for (const beta of [0, 1] as const) {
      const slots: Record<string, Slot> = Object.fromEntries(
        wanted.map(name => [name, { tensor: put(inputs[name]!.data, inputs[name]!.shape), beta }]),
      );
      row.op.backward(
        gpu,
        { inputs: tensors, attrs, output, saved },
        put(dOutput.data, dOutput.shape),
        slots,
      );
      for (const name of wanted) {
        const { data } = gradients[name]!;
        const start = inputs[name]!.data;
        same(
          `d${name} of ${row.name}`,
          await read(slots[name]!.tensor),
          data.map((g, i) => g + beta * start[i]!),
        );
      }
    }
  };
  return { name: row.name, run };
}

const others: readonly Scene[] = [
  {
    name: 'fill and copy',
    async run(gpu) {
      const x = upload(gpu, Float32Array.of(1, 2, 3), [3]);
      const y = empty(gpu, [3]);
      fill(y, 5);
      copy(x, y, 1);
      same('y', await read(y), [6, 7, 8]);
    },
  },
  {
    name: 'sums',
    async run(gpu, random) {
      const { data } = normal([200], random);
      const x = upload(gpu, Float32Array.from(data), [200]);
      same('sum', await read(sum(gpu, x, 2)), [2 * data.reduce((a, b) => a + b, 0)]);
      same('sum of squares', await read(sumSquares(gpu, [x, x])), [2 * data.reduce((a, b) => a + b * b, 0)]);
    },
  },
  {
    name: 'clipping and AdamW',
    async run(gpu) {
      const put = (...values: number[]): Tensor => upload(gpu, Float32Array.from(values), [values.length]);
      const clip = clipFactor(gpu, put(25), 1);
      same('clip', await read(clip), [5, 0.2]);
      const tensors = {
        param: put(1, 1, 1, 1),
        grad: put(3, 0, -4, 0),
        m: put(0, 0, 0, 0),
        v: put(0, 0, 0, 0),
        clip,
      };
      adamw(gpu, tensors, { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.5, step: 1 }, 2);
      // The first step of Adam is lr times the sign of the gradient; the first two elements decay by lr · 0.5.
      same('param', await read(tensors.param), [0.95 - 0.1, 0.95, 1.1, 1]);
    },
  },
  {
    name: 'loss scale and AdamW',
    async run(gpu) {
      const put = (...values: number[]): Tensor => upload(gpu, Float32Array.from(values), [values.length]);
      const state = uploadScale(gpu, { ...FIRST_SCALE, scale: 4, row: 1999 });
      const settings = { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.5 };
      const clip = scaledClip(gpu, put(400), state, { ...settings, maxNorm: 1 });
      same('clip', await read(clip), [5, 0.05]);
      same('state', await read(state), [8, 0, 0, 0.1, 0.001]);
      const tensors = {
        param: put(1, 1, 1, 1),
        grad: put(12, 0, -16, 0),
        m: put(0, 0, 0, 0),
        v: put(0, 0, 0, 0),
        clip,
        state,
      };
      adamwScaled(gpu, tensors, settings, 2);
      same('param', await read(tensors.param), [0.95 - 0.1, 0.95, 1.1, 1]);
      same('clip', await read(scaledClip(gpu, put(1e39), state, { ...settings, maxNorm: 0 })), [Infinity, 0]);
      same('state', await read(state), [4, 0, 1, 0.1, 0.001]);
    },
  },
  {
    name: 'ceiling',
    async run(gpu) {
      const y = empty(gpu, [64]);
      const how = { groups: 1, consts: { CHAINS: 2, REPEATS: 1 } };
      gpu.run('fma-ceiling', { y }, { iterations: 1, scale: 0.5 }, how);
      // Two chains from t and t + 1, each halved and raised by a quarter: t + 1.
      same(
        'y',
        await read(y),
        Float32Array.from({ length: 64 }, (_, t) => t + 1),
      );
      const x = upload(
        gpu,
        Float32Array.from({ length: 256 }, (_, i) => i),
        [256],
      );
      const copied = empty(gpu, [256]);
      gpu.run('stream-ceiling', { x, y: copied }, { count: 64 }, { groups: 1, consts: { STEPS: 1 } });
      same('copied', await read(copied), await read(x));
      gpu.run('cached-ceiling', { x, y }, { size: 64, turns: 2 }, { groups: 1, consts: { STEPS: 1 } });
      // Twice the sum of thread t's four values from 4t on.
      same(
        'y',
        await read(y),
        Float32Array.from({ length: 64 }, (_, t) => 2 * (16 * t + 6)),
      );
    },
  },
  {
    name: 'sampling',
    async run(gpu) {
      // Rising, then falling: at each step of a reduction every thread finds a larger value, or none does.
      const slopes = Float32Array.from({ length: 260 }, (_, i) => (i < 130 ? i : -i));
      same('argmax', await readU32(argmax(gpu, upload(gpu, slopes, [2, 130]))), [129, 0]);
      const row = upload(gpu, Float32Array.of(8, 2, 3), [1, 3]);
      const uniforms = upload(gpu, Float32Array.of(0.999), [1]);
      same('sample', await readU32(sample(gpu, row, uniforms, { temperature: 1, topK: 2 })), [2]);
    },
  },
  {
    name: 'rows as long as others',
    async run(gpu) {
      const put = (...values: number[]): Tensor => upload(gpu, Float32Array.from(values), [3, 2]);
      same('y', await read(matchNorm(gpu, put(3, 4, 0, 0, 1, 0), put(0, 2, 1, 1, 0, 0))), [0, 5, 0, 0, 0, 0]);
    },
  },
];

/** A pass of one column has kernels of its own. */
const column = ofCase(attentionCase as OpCase<Dims, unknown>, { B: 3, T: 1, H: 2, D: 4 });
/** A vocabulary that is a multiple of four too. */
const fours = ofCase(crossEntropyCase as OpCase<Dims, unknown>, { R: 2, V: 12 });

export const scenes: readonly Scene[] = [...cases.map(row => ofCase(row)), column, fours, ...others];
