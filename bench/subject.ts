// An op's row at one shape, on the device and ready to be checked and timed. Knows the form of a row (test/cases) and
// of an op; knows no particular op and no clock.
import { UserError } from '../src/errors.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import type { Slot, Tensors } from '../src/tape.ts';
import { empty, type Tensor } from '../src/tensor.ts';
import { type Arr, type Dims, normal, type OpCase, type Work } from '../test/cases/case.ts';
import { relativeError, seeded } from '../test/numbers.ts';
import { onDevice, runOnDevice, TOLERANCE } from '../test/run-case.ts';
import { type Launched, launchesOf, variantName } from './launches.ts';
import { showDims } from './shape.ts';

// biome-ignore lint/suspicious/noExplicitAny: each row has its own dimensions and attributes.
export type AnyCase = OpCase<any, any>;

export type Pass = 'forward' | 'backward';

/** One pass of an op at one shape. */
export interface Subject {
  readonly pass: Pass;
  readonly work: Work;
  /** What a call launches. */
  readonly launches: readonly Launched[];
  /** The form of its kernels, forced or chosen by the op. */
  readonly variant: string;
  /** Records one call. */
  call(): void;
}

export interface Prepared {
  readonly subjects: readonly Subject[];
  /** Throws UserError unless output and gradients are the reference's: what computes wrong values is not timed. */
  check(): Promise<void>;
  free(): void;
}

interface Made {
  readonly output: Tensor;
  readonly saved: Tensors;
}

/** Nothing is compiled before `check`, so what would be launched is known whatever compiles. `variant` forces a form. */
export function prepare(gpu: Gpu, row: AnyCase, dims: Dims, variant?: string): Prepared {
  const { op } = row;
  const random = seeded(1);
  const cpuAttrs = row.benchAttrs?.(dims, random) ?? row.cpuAttrs(dims, random);
  const values = row.inputs(dims, random, cpuAttrs);
  const expected = row.forward(values, cpuAttrs);
  const dValues = normal(expected.shape, random);

  const owned: Tensor[] = [];
  const keep = (tensor: Tensor): Tensor => {
    owned.push(tensor);
    return tensor;
  };
  const made = row.attrs(gpu, cpuAttrs, dims);
  Object.values(made.owned).forEach(keep);
  const attrs = withForm(row, made.attrs, variant);
  const names = Object.keys(values);
  const inputs = Object.fromEntries(names.map(name => [name, keep(onDevice(gpu, values[name]!))]));
  const slots = Object.fromEntries(
    names.map((name): [string, Slot] => [name, { tensor: keep(empty(gpu, values[name]!.shape)), beta: 0 }]),
  );
  const dOutput = keep(onDevice(gpu, dValues));

  const forward = (given: unknown): Made => op.forward(gpu, inputs, given) as Made;
  const backward = (given: unknown, of: Made): void => {
    if (op.backward !== 'not differentiable')
      op.backward(gpu, { inputs, attrs: given, ...of }, dOutput, slots);
  };
  const launches = (given: unknown): Record<Pass, Launched[]> => {
    const both: Record<Pass, Launched[]> = { forward: [], backward: [] };
    let result: Made | undefined;
    both.forward = launchesOf(gpu, () => {
      result = forward(given);
    });
    both.backward = launchesOf(gpu, () => backward(given, result!));
    release(result!);
    return both;
  };
  const launched = launches(attrs);
  const forced = new Map(
    (row.variants?.names(gpu, dims) ?? []).map(name => [name, launches(withForm(row, made.attrs, name))]),
  );
  const described = (pass: Pass): Pick<Subject, 'pass' | 'launches' | 'variant'> => {
    const others = new Map([...forced].map(([name, both]) => [name, both[pass]]));
    return { pass, launches: launched[pass], variant: variantName(launched[pass], others) };
  };

  const work = row.cost(dims);
  const subjects: Subject[] = [{ ...described('forward'), work, call: () => release(forward(attrs)) }];
  let differentiated: Made | undefined; // The forward pass of which the backward is timed.
  if (op.backward !== 'not differentiable')
    subjects.push({
      ...described('backward'),
      work: row.backwardCost?.(dims) ?? { flops: 2 * work.flops, bytes: 2 * work.bytes },
      call() {
        differentiated ??= forward(attrs);
        backward(attrs, differentiated);
      },
    });

  return {
    subjects,
    async check() {
      const own: AnyCase = {
        ...row,
        attrs: (...given) => {
          const { attrs, owned } = row.attrs(...given);
          return { attrs: withForm(row, attrs, variant), owned };
        },
      };
      const run = await runOnDevice(gpu, own, dims, cpuAttrs, values, dValues, undefined);
      compare(row, dims, 'its output', run.output, expected);
      const gradients = row.backward(values, cpuAttrs, dValues);
      for (const [name, gradient] of Object.entries(gradients))
        compare(row, dims, `d${name}`, run.gradients[name]!, gradient);
    },
    free() {
      if (differentiated) release(differentiated);
      for (const tensor of owned) tensor.free();
    },
  };
}

function release({ output, saved }: Made): void {
  for (const tensor of [output, ...Object.values(saved)]) tensor.free();
}

/** Attributes that force the given form, or the op's own choice where there is none given. */
function withForm(row: AnyCase, attrs: unknown, variant: string | undefined): unknown {
  return variant === undefined ? attrs : { ...(attrs as object), [row.variants!.attribute]: variant };
}

function compare(row: AnyCase, dims: Dims, what: string, got: Float32Array, { data }: Arr): void {
  const error = relativeError(got, data);
  if (error <= (row.tolerance ?? TOLERANCE)) return;
  const { shape, form } = showDims(dims);
  const where = [row.name, shape, form].filter(Boolean).join(' ');
  throw new UserError(
    `${where}: ${what} is off by ${error.toPrecision(2)} of its largest value, so it is not timed`,
  );
}
