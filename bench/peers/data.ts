// Inputs of the work and what must come out, from the float64 references of test/cases. The same numbers in every
// process. Knows work and the references; knows no engine.
import { attentionCase } from '../../test/cases/attention.ts';
import { type Arr, normal, type OpCase } from '../../test/cases/case.ts';
import { crossEntropyCase } from '../../test/cases/cross-entropy.ts';
import { geluCase } from '../../test/cases/gelu.ts';
import { layernormCase } from '../../test/cases/layernorm.ts';
import { matmulCase } from '../../test/cases/matmul.ts';
import { seeded } from '../../test/numbers.ts';
import type { Work, WorkOf } from './work.ts';

/** The work that is one op; the others are in model.ts. */
export type SingleOp = Exclude<Work, WorkOf<'step' | 'generation'>>;

// biome-ignore lint/suspicious/noExplicitAny: each case has its own dimensions and attributes.
type AnyCase = OpCase<any, any>;

/** A case at the dimensions of a piece of work, with its numbers. */
export interface Problem {
  readonly row: AnyCase;
  readonly dims: Readonly<Record<string, number>>;
  readonly cpuAttrs: unknown;
  readonly inputs: Readonly<Record<string, Arr>>;
  /** Gradient of the output; undefined where only the forward pass is asked for. */
  readonly dOutput: Arr | undefined;
}

export function problemOf(work: SingleOp): Problem {
  const random = seeded(1);
  const { row, dims, cpuAttrs, backward } = caseOf(work, random);
  const inputs = row.inputs(dims, random, cpuAttrs);
  const dOutput = backward ? normal(outputShape(work), random) : undefined;
  return { row, dims, cpuAttrs, inputs, dOutput };
}

/** What must come out, by name: `y` for an output, `d` and the input's name for a gradient. */
export function expectedOf(work: SingleOp): Readonly<Record<string, Float64Array>> {
  const { row, cpuAttrs, inputs, dOutput } = problemOf(work);
  if (work.op === 'softmax') return { y: softmax(inputs.logits!) };
  if (work.op === 'cross-entropy') {
    const one: Arr = { shape: [1], data: Float64Array.of(1) };
    return {
      y: row.forward(inputs, cpuAttrs).data,
      dlogits: row.backward(inputs, cpuAttrs, one).logits!.data,
    };
  }
  if (!dOutput) return { y: row.forward(inputs, cpuAttrs).data };
  const gradients = row.backward(inputs, cpuAttrs, dOutput);
  return Object.fromEntries(Object.entries(gradients).map(([name, { data }]) => [`d${name}`, data]));
}

/** Target of each row of a cross-entropy; every row has one. */
export function targetsOf({ R, V }: { readonly R: number; readonly V: number }): Uint32Array {
  const random = seeded(2);
  return Uint32Array.from({ length: R }, () => Math.floor(random() * V));
}

function caseOf(
  work: SingleOp,
  random: () => number,
): Pick<Problem, 'row' | 'dims' | 'cpuAttrs'> & { readonly backward: boolean } {
  switch (work.op) {
    case 'matmul': {
      const { M, N, K, form } = work;
      const dims = { M, N, K, batch: 1, form: { NN: 0, NT: 1, TN: 2 }[form] };
      return { row: matmulCase, dims, cpuAttrs: matmulCase.cpuAttrs(dims, random), backward: false };
    }
    case 'layernorm': {
      const dims = { M: work.M, C: work.C };
      const cpuAttrs = layernormCase.cpuAttrs(dims, random);
      return { row: layernormCase, dims, cpuAttrs, backward: work.pass === 'both' };
    }
    case 'gelu':
      return { row: geluCase, dims: { M: work.M, C: work.C }, cpuAttrs: undefined, backward: false };
    case 'softmax':
    case 'cross-entropy': {
      const { R, V } = work;
      // A softmax is taken from the gradient, whose scale must then be 1.
      const scale = work.op === 'softmax' ? 1 : 1 / R;
      const cpuAttrs = { targets: targetsOf(work), scale };
      return { row: crossEntropyCase, dims: { R, V }, cpuAttrs, backward: false };
    }
    case 'attention': {
      const { B, T, H, D } = work;
      const cpuAttrs = { B, H, first: new Uint32Array(B) };
      return { row: attentionCase, dims: { B, T, H, D }, cpuAttrs, backward: work.pass === 'both' };
    }
  }
}

function outputShape(work: SingleOp): number[] {
  if (work.op === 'layernorm') return [work.M, work.C];
  if (work.op === 'attention') return [work.T * work.B, work.H * work.D];
  throw new Error(`${work.op} has no backward of its own here`);
}

function softmax(logits: Arr): Float64Array {
  const V = logits.shape[1]!;
  const y = new Float64Array(logits.data.length);
  for (let at = 0; at < y.length; at += V) {
    const row = logits.data.subarray(at, at + V);
    const top = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((a, b) => a + Math.exp(b - top), 0);
    y.set(
      row.map(value => Math.exp(value - top) / sum),
      at,
    );
  }
  return y;
}
