// The form of an op's row: one row drives the correctness test, the finite-difference check and the bench.
// Knows float64 arrays and the op contract; knows no particular op.
import type fc from 'fast-check';
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { Op, Tensors } from '../../src/tape.ts';
import type { FloatType } from '../../src/tensor.ts';

/** A float64 array with its shape, row-major: what the CPU references compute on. */
export interface Arr {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

/** An array of the given shape filled by `value(index)`. */
export function arr(shape: readonly number[], value: (index: number) => number = () => 0): Arr {
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, data: Float64Array.from({ length: size }, (_, i) => value(i)) };
}

/** Standard normal values rounded to float32, so that device and reference start from the same numbers. */
export function normal(shape: readonly number[], random: () => number, scale = 1): Arr {
  return arr(shape, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return Math.fround(scale * radius * Math.cos(2 * Math.PI * random()));
  });
}

/** Named dimensions of a case, for example `{ M: 3, K: 5, N: 7 }`. */
export type Dims = Record<string, number>;

/** Forms of an op's kernels: the attribute that forces one, and the names of those that a device may run. */
export interface Variants {
  readonly attribute: string;
  /** One that cannot run some of the op's kernels at these dimensions leaves those to the op's own choice. */
  names(gpu: Gpu, dims: Dims): readonly string[];
}

/** What any kernel must do: floating-point operations, and bytes with every operand read and every result written once. */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
}

/** The forms of kernels over rows: a thread a row, or a workgroup a row. Both run on every device. */
export const ROW_FORMS: Variants = { attribute: 'form', names: () => ['thread', 'workgroup'] };

/**
 * One op's row. `CpuAttrs` is what the reference reads, `attrs` turns it into what the op reads on a device.
 * References are naive float64 loops and stay so: they are the specification.
 */
export interface OpCase<D extends Dims = Dims, CpuAttrs = unknown> {
  readonly name: string;
  /** The op, with its types erased: the harness feeds it tensors by input name. */
  // biome-ignore lint/suspicious/noExplicitAny: a heterogeneous table of ops; each case file is typed itself.
  readonly op: Op<any, any, any>;
  /** Property-based shapes: small, odd, degenerate. */
  readonly dims: fc.Arbitrary<D>;
  /** Shapes always tried: ones, primes, multiples and non-multiples of every tile. */
  readonly fixed: readonly D[];
  /** Shapes the bench times: training, single column (M = batch), generation. */
  readonly bench: readonly D[];
  cpuAttrs(dims: D, random: () => number): CpuAttrs;
  /** Attributes of what is timed, where random ones would leave out work that `cost` counts. */
  benchAttrs?(dims: D, random: () => number): CpuAttrs;
  inputs(dims: D, random: () => number, attrs: CpuAttrs): Record<string, Arr>;
  forward(inputs: Record<string, Arr>, attrs: CpuAttrs): Arr;
  /** Gradients of sum(output * dOutput) for every differentiable input; {} where the op has no backward. */
  backward(inputs: Record<string, Arr>, attrs: CpuAttrs, dOutput: Arr): Record<string, Arr>;
  /** Attributes on the device, for activations stored as `storage`; `owned` are tensors the harness frees afterwards. */
  attrs(gpu: Gpu, attrs: CpuAttrs, dims: D, storage?: FloatType): { attrs: unknown; owned: Tensors };
  /** Inputs that are parameters, and of f32 where activations are stored as f16; by default none. */
  readonly parameters?: readonly string[];
  /** Work of one forward call. */
  cost(dims: D): Work;
  /** Work of one backward call that gives every gradient and overwrites (beta 0); by default twice the forward's. */
  backwardCost?(dims: D): Work;
  /** The forms that the bench can force; none by default. */
  readonly variants?: Variants;
  /** Relative error allowed (default 1e-5); say in a comment why more is needed. */
  readonly tolerance?: number;
}
