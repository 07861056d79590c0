// The tape: fan-out, accumulation, constants, recomputation and the life of what it makes, on graphs drawn at random
// and by hand, against a float64 tape of a few lines.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copy } from '../src/flat.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import { add } from '../src/ops/add.ts';
import { attention, KvStore } from '../src/ops/attention.ts';
import { gelu } from '../src/ops/gelu.ts';
import { layernorm } from '../src/ops/layernorm.ts';
import { linear } from '../src/ops/linear.ts';
import { matmul } from '../src/ops/matmul.ts';
import { type Op, type Slot, Tape } from '../src/tape.ts';
import { empty, read, type Tensor, upload } from '../src/tensor.ts';
import { addCase } from './cases/add.ts';
import { type Arr, arr, normal } from './cases/case.ts';
import { geluCase } from './cases/gelu.ts';
import { matmulCase } from './cases/matmul.ts';
import { testGpu } from './device.ts';
import { relativeError, seeded } from './numbers.ts';
import { onDevice } from './run-case.ts';

const gpu = await testGpu();

/** Everything is N × N, so that any result may be any op's input. */
const N = 5;
const LEAVES = 3;

/** A step of a graph: an op on earlier tensors, which are numbered: first the leaves, then the results. */
type Step =
  | { readonly op: 'add'; readonly a: number; readonly b: number }
  | { readonly op: 'matmul'; readonly a: number; readonly b: number }
  | { readonly op: 'gelu'; readonly a: number }
  | { readonly op: 'detach'; readonly a: number };

/** The leaves' gradients of sum(last * dOutput), in float64. */
function reference(leaves: readonly Arr[], steps: readonly Step[], dOutput: Arr): Arr[] {
  const attrs = { dims: { M: N, N, K: N, batch: 1, form: 0 } };
  const values = [...leaves];
  for (const step of steps) {
    const a = values[step.a]!;
    if (step.op === 'detach') values.push(a);
    else if (step.op === 'gelu') values.push(geluCase.forward({ x: a }, undefined));
    else if (step.op === 'add') values.push(addCase.forward({ a, b: values[step.b]! }, undefined));
    else values.push(matmulCase.forward({ a, b: values[step.b]! }, attrs));
  }
  const gradients = values.map(() => arr([N, N]));
  const accumulate = (to: number, gradient: Arr): void =>
    gradient.data.forEach((g, i) => {
      gradients[to]!.data[i]! += g;
    });
  accumulate(values.length - 1, dOutput);
  for (const [k, step] of [...steps.entries()].toReversed()) {
    const dy = gradients[leaves.length + k]!;
    const a = values[step.a]!;
    if (step.op === 'detach') continue;
    if (step.op === 'gelu') {
      accumulate(step.a, geluCase.backward({ x: a }, undefined, dy).x!);
      continue;
    }
    const inputs = { a, b: values[step.b]! };
    const d =
      step.op === 'add' ? addCase.backward(inputs, undefined, dy) : matmulCase.backward(inputs, attrs, dy);
    accumulate(step.a, d.a!);
    accumulate(step.b, d.b!);
  }
  return gradients.slice(0, leaves.length);
}

/** The same graph on a tape; steps [from, to) inside a recomputed block, if any. */
function record(
  tape: Tape,
  leaves: readonly Tensor[],
  steps: readonly Step[],
  block?: readonly [number, number],
) {
  const values = [...leaves];
  const run = (on: Tape, known: Tensor[], step: Step): void => {
    const a = known[step.a]!;
    if (step.op === 'detach') known.push(on.detach(a));
    else if (step.op === 'gelu') known.push(on.apply(gelu, { x: a }, undefined));
    else if (step.op === 'add') known.push(on.apply(add, { a, b: known[step.b]! }, undefined));
    else known.push(on.apply(matmul, { a, b: known[step.b]! }, {}));
  };
  const [from, to] = block ?? [0, 0];
  for (const [k, step] of steps.entries()) {
    if (k < from || k >= to) run(tape, values, step);
    else if (k === from) {
      const before = [...values];
      const result = tape.recompute(() => {
        const known = [...before];
        for (const inside of steps.slice(from, to)) run(tape, known, inside);
        return known.at(-1)!;
      });
      // Nothing but the block's last result can be seen from outside.
      while (values.length < leaves.length + to) values.push(result);
    }
  }
  return values.at(-1)!;
}

const drawnSteps = (length: number): fc.Arbitrary<Step[]> =>
  fc
    .array(
      fc.record({
        op: fc.constantFrom('add', 'add', 'add', 'gelu', 'matmul', 'detach') as fc.Arbitrary<Step['op']>,
        a: fc.nat(),
        b: fc.nat(),
      }),
      { minLength: 1, maxLength: length },
    )
    .map(list =>
      list.map((step, k): Step => {
        // Recent results are the likelier inputs, so that chains are long.
        const pick = (n: number): number =>
          n % 2 ? LEAVES + k - 1 - (n % Math.min(3, k + 1)) : n % (LEAVES + k);
        const a = Math.max(0, pick(step.a));
        const last = k === list.length - 1 && step.op === 'detach' ? 'gelu' : step.op;
        return last === 'add' || last === 'matmul'
          ? { op: last, a, b: Math.max(0, pick(step.b)) }
          : { op: last, a };
      }),
    );

interface Outcome {
  readonly output: Float32Array;
  readonly gradients: readonly Float32Array[];
}

/** One forward and backward of a graph, `rounds` times; checks that nothing is left over or changed. */
async function outcome(
  leaves: readonly Arr[],
  steps: readonly Step[],
  dOutput: Arr,
  how: { watched?: readonly number[]; block?: readonly [number, number]; rounds?: number } = {},
): Promise<Outcome> {
  const tensors = leaves.map(leaf => onDevice(gpu, leaf));
  const gradients = leaves.map(() => empty(gpu, [N, N]));
  const dy = onDevice(gpu, dOutput);
  const tape = new Tape(gpu);
  for (const k of how.watched ?? leaves.keys()) tape.watch(tensors[k]!, gradients[k]!);
  const live = gpu.pool.memory.live;
  let output: Float32Array | undefined;
  for (let round = 0; round < (how.rounds ?? 1); round++) {
    const result = record(tape, tensors, steps, how.block);
    tape.backward(result, dy);
    output = await read(result);
    result.free();
    expect(gpu.pool.memory.live, 'live bytes after the backward').toBe(live);
  }
  const got = await Promise.all(gradients.map(read));
  expect(await read(dy), "dOutput, which is the caller's").toEqual(Float32Array.from(dOutput.data));
  for (const tensor of [...tensors, ...gradients, dy]) tensor.free();
  return { output: output!, gradients: got };
}

const draw = (seed: number): { leaves: Arr[]; dOutput: Arr } => {
  const random = seeded(seed);
  return {
    leaves: Array.from({ length: LEAVES }, () => normal([N, N], random, 0.4)),
    dOutput: normal([N, N], random),
  };
};

async function agrees(steps: readonly Step[], seed: number): Promise<void> {
  const { leaves, dOutput } = draw(seed);
  const { gradients } = await outcome(leaves, steps, dOutput);
  for (const [k, expected] of reference(leaves, steps, dOutput).entries())
    expect(relativeError(gradients[k]!, expected.data), `gradient of leaf ${k}`).toBeLessThan(1e-5);
}

describe('gradients', () => {
  const X = 0;
  const plus = (a: number, b: number): Step => ({ op: 'add', a, b });
  const smooth = (a: number): Step => ({ op: 'gelu', a });

  it.each<[string, Step[]]>([
    ['x + x', [plus(X, X)]],
    ['(x + x) + x', [plus(X, X), plus(3, X)]],
    ['h + h of a result', [smooth(X), plus(3, 3)]],
    ['(h + h) + h', [smooth(X), plus(3, 3), plus(4, 3)]],
    ['a result used five times', [smooth(X), plus(3, 3), plus(4, 3), plus(3, 5), plus(6, 3)]],
    ['x · x', [{ op: 'matmul', a: X, b: X }]],
    ['h · h', [smooth(X), { op: 'matmul', a: 3, b: 3 }]],
    ['a residual chain', [plus(X, 1), smooth(3), plus(3, 4), smooth(5), plus(5, 6), smooth(7), plus(7, 8)]],
    [
      'one gradient handed to two chains',
      [smooth(X), smooth(1), plus(3, 4), smooth(3), plus(5, 6), plus(7, 4)],
    ],
    ['a detached factor', [smooth(X), { op: 'detach', a: 3 }, { op: 'matmul', a: 3, b: 4 }]],
    ['nothing but a constant', [{ op: 'detach', a: X }, smooth(3)]],
  ])('of %s', async (_, steps) => {
    await agrees(steps, 1);
  });

  it('of graphs drawn at random', async () => {
    await fc.assert(
      fc.asyncProperty(drawnSteps(9), fc.nat(), (steps, seed) => agrees(steps, seed)),
      { numRuns: 60, seed: 1 },
    );
  });

  it('of some of the leaves are those of all', async () => {
    await fc.assert(
      fc.asyncProperty(drawnSteps(7), fc.subarray([0, 1, 2]), fc.nat(), async (steps, watched, seed) => {
        const { leaves, dOutput } = draw(seed);
        const all = await outcome(leaves, steps, dOutput);
        const some = await outcome(leaves, steps, dOutput, { watched });
        expect(some.output).toEqual(all.output);
        for (const k of leaves.keys())
          if (watched.includes(k)) expect(some.gradients[k]).toEqual(all.gradients[k]);
          else expect(some.gradients[k]!.every(Number.isNaN), 'left alone').toBe(true);
      }),
      { numRuns: 20, seed: 2 },
    );
  });

  it('add up over backwards until they are reset', async () => {
    const { leaves, dOutput } = draw(4);
    const steps = [plus(X, 1), smooth(3), plus(4, 3)];
    const once = await outcome(leaves, steps, dOutput);
    const thrice = await outcome(leaves, steps, dOutput, { rounds: 3 });
    for (const k of leaves.keys())
      expect(thrice.gradients[k]).toEqual(once.gradients[k]!.map(g => Math.fround(Math.fround(g + g) + g)));

    const x = onDevice(gpu, leaves[0]!);
    const gradient = empty(gpu, [N, N]);
    const tape = new Tape(gpu);
    tape.watch(x, gradient);
    const values: number[] = [];
    for (const round of [0, 1, 2, 3]) {
      if (round === 2) tape.resetGradients();
      const y = tape.apply(add, { a: x, b: x }, undefined);
      tape.backward(y);
      y.free();
      values.push((await read(gradient))[7]!);
    }
    expect(values).toEqual([2, 4, 2, 4]);
    // A backward that does not use the leaf adds nothing to it.
    const other = tape.noGrad(() => tape.apply(add, { a: x, b: x }, undefined));
    tape.backward(other);
    expect((await read(gradient))[7]).toBe(4);
    for (const tensor of [x, gradient, other]) tensor.free();
  });

  it('of a leaf that nothing used are zeros', async () => {
    const { leaves, dOutput } = draw(5);
    const { gradients } = await outcome(leaves, [plus(0, 2)], dOutput);
    expect(gradients[1]).toEqual(new Float32Array(N * N));
  });

  it('are summed up where the caller wants them, and stay there', async () => {
    const { leaves, dOutput } = draw(6);
    const [x, gamma, beta] = [
      onDevice(gpu, leaves[0]!),
      upload(gpu, Float32Array.from(leaves[1]!.data.subarray(0, N)), [N]),
      upload(gpu, Float32Array.from(leaves[2]!.data.subarray(0, N)), [N]),
    ];
    const [dy, c] = [onDevice(gpu, dOutput), onDevice(gpu, leaves[1]!)];
    /** dx of gelu(h + c) + layernorm(h) with h = gelu(x), and the gradients of h and of the sum, where places are given. */
    const run = async (placed: { h?: boolean; sum?: boolean }): Promise<Float32Array[]> => {
      const live = gpu.pool.memory.live;
      const [dx, dh, dsum] = [empty(gpu, [N, N]), empty(gpu, [N, N]), empty(gpu, [N, N])];
      const tape = new Tape(gpu);
      tape.watch(x, dx);
      const h = tape.apply(gelu, { x }, undefined, placed.h ? dh : undefined);
      const n = tape.apply(layernorm, { x: h, gamma, beta }, { eps: 1e-5 });
      const sum = tape.apply(add, { a: h, b: c }, undefined, placed.sum ? dsum : undefined);
      const y = tape.apply(add, { a: tape.apply(gelu, { x: sum }, undefined), b: n }, undefined);
      tape.backward(y, dy);
      const got = [
        await read(dx),
        ...(placed.h ? [await read(dh)] : []),
        ...(placed.sum ? [await read(dsum)] : []),
      ];
      for (const tensor of [y, dx, dh, dsum]) tensor.free();
      expect(gpu.pool.memory.live).toBe(live);
      return got;
    };
    const [plain] = await run({});
    const [dxBoth, dh, dsum] = await run({ h: true, sum: true });
    expect(dxBoth).toEqual(plain);
    // The sum's gradient is h's too, which gets more: not where the sum's lies, be there a place for h or not.
    expect(await run({ sum: true })).toEqual([plain, dsum]);
    expect(await run({ h: true })).toEqual([plain, dh]);
    const gelued = geluCase.backward({ x: leaves[0]! }, undefined, {
      data: Float64Array.from(dh!),
      shape: [N, N],
    });
    expect(relativeError(plain!, gelued.x!.data)).toBeLessThan(1e-5);
    expect(dsum).not.toEqual(dh);
    for (const tensor of [x, gamma, beta, dy, c]) tensor.free();
  });

  it('start from ones where no dOutput is given', async () => {
    const x = upload(gpu, Float32Array.of(1, 2, 3), [3]);
    const gradient = empty(gpu, [3]);
    const tape = new Tape(gpu);
    tape.watch(x, gradient);
    const live = gpu.pool.memory.live;
    const y = tape.apply(add, { a: x, b: x }, undefined);
    tape.backward(y);
    expect(Array.from(await read(gradient))).toEqual([2, 2, 2]);
    expect(Array.from(await read(y))).toEqual([2, 4, 6]);
    y.free();
    expect(gpu.pool.memory.live).toBe(live);
    // The leaf itself: its gradient is dOutput.
    tape.resetGradients();
    tape.backward(x);
    expect(Array.from(await read(gradient))).toEqual([1, 1, 1]);
    expect(gpu.pool.memory.live).toBe(live);
    for (const tensor of [x, gradient]) tensor.free();
  });
});

/** y = x, with eyes: what the backward was given is kept for the test. */
function spy(sideEffect: boolean): {
  op: Op<{ x: Tensor }, undefined, { kept: Tensor }>;
  seen: Promise<Float32Array>[];
} {
  const seen: Promise<Float32Array>[] = [];
  const op: Op<{ x: Tensor }, undefined, { kept: Tensor }> = {
    name: 'spy',
    ...(sideEffect && { sideEffect: true as const }),
    forward(on, { x }) {
      const { output } = add.forward(on, { a: x, b: x }, undefined);
      return { output, saved: { kept: empty(on, [100]) } };
    },
    backward(on, _, dOutput, d) {
      seen.push(read(dOutput));
      if (d.x && add.backward !== 'not differentiable')
        add.backward(
          on,
          { inputs: { a: dOutput, b: dOutput }, attrs: undefined, output: dOutput, saved: {} },
          dOutput,
          { a: d.x },
        );
    },
  };
  return { op, seen };
}

/** Two leaves and a tape that watches the first. */
function small() {
  const [x, c] = [upload(gpu, Float32Array.of(1, 2), [2]), upload(gpu, Float32Array.of(10, 20), [2])];
  const gradient = empty(gpu, [2]);
  const tape = new Tape(gpu);
  tape.watch(x, gradient);
  const live = gpu.pool.memory.live;
  const end = (): void => {
    expect(gpu.pool.memory.live, 'live bytes at the end').toBe(live);
    for (const tensor of [x, c, gradient]) tensor.free();
  };
  return { tape, x, c, gradient, live, end };
}

const double = (tape: Tape, x: Tensor): Tensor => tape.apply(add, { a: x, b: x }, undefined);

describe('recorded and unrecorded work', () => {
  it('an op on constants is not recorded, and is freed by the next backward', async () => {
    const { tape, x, c, gradient, end } = small();
    const { op, seen } = spy(true);
    const constant = tape.apply(op, { x: c }, undefined);
    const y = tape.apply(add, { a: x, b: constant }, undefined);
    tape.backward(y);
    expect(seen).toHaveLength(0);
    expect(Array.from(await read(gradient))).toEqual([1, 1]);
    expect(Array.from(await read(y))).toEqual([21, 42]);
    y.free();
    end();
  });

  it('noGrad makes a constant and frees the rest at once', async () => {
    const { tape, x, gradient, live, end } = small();
    const constant = tape.noGrad(() =>
      double(
        tape,
        double(
          tape,
          tape.noGrad(() => double(tape, x)),
        ),
      ),
    );
    expect(gpu.pool.memory.live).toBe(live + constant.bytes);
    const y = tape.apply(add, { a: x, b: constant }, undefined);
    tape.backward(y);
    expect(Array.from(await read(gradient))).toEqual([1, 1]);
    expect(Array.from(await read(y))).toEqual([9, 18]);
    y.free();
    end();
  });

  it('noGrad records again afterwards, even where its work threw', async () => {
    const { tape, x, gradient, live, end } = small();
    const work = (): Tensor => {
      double(tape, x);
      throw new Error('on purpose');
    };
    expect(() => tape.noGrad(work)).toThrow('on purpose');
    expect(gpu.pool.memory.live).toBe(live);
    const y = double(tape, x);
    tape.backward(y);
    expect(Array.from(await read(gradient))).toEqual([2, 2]);
    y.free();
    end();
  });

  it('a view that noGrad returns keeps the memory it looks at', async () => {
    const { tape, x, gradient, live, end } = small();
    const constant = tape.noGrad(() => double(tape, x).view([2, 1]));
    expect(gpu.pool.memory.live).toBe(live + constant.bytes);
    const scratch = empty(gpu, [2]); // would take that memory, had it been given back
    expect(Array.from(await read(constant))).toEqual([2, 4]);
    scratch.free();
    const y = tape.apply(add, { a: x, b: constant.view([2]) }, undefined);
    tape.backward(y);
    expect(Array.from(await read(gradient))).toEqual([1, 1]);
    y.free();
    end();
  });

  it('tidy frees the intermediates of unrecorded work, and nothing while recording', async () => {
    const { tape, x, gradient, live, end } = small();
    const result = tape.noGrad(() => {
      let h = double(tape, x);
      for (let k = 0; k < 5; k++) {
        const before = h;
        h = tape.tidy(() => double(tape, double(tape, before)));
        expect(gpu.pool.memory.live - live).toBe((k + 2) * x.bytes);
      }
      return h;
    });
    expect(gpu.pool.memory.live - live).toBe(x.bytes);
    expect(Array.from(await read(result))).toEqual([2 ** 11, 2 ** 12]);
    const y = tape.tidy(() => double(tape, double(tape, x)));
    expect(gpu.pool.memory.live - live).toBe(3 * x.bytes);
    tape.backward(y);
    expect(Array.from(await read(gradient))).toEqual([4, 4]);
    y.free();
    end();
  });

  it('discard frees what was recorded, except what is kept', async () => {
    const { tape, x, live, end } = small();
    const { op } = spy(false);
    double(tape, tape.apply(op, { x }, undefined));
    tape.noGrad(() => double(tape, x));
    tape.discard();
    expect(gpu.pool.memory.live).toBe(live);
    const kept = double(tape, x);
    const constant = tape.noGrad(() => double(tape, kept));
    double(tape, kept);
    tape.discard(kept, constant);
    expect(gpu.pool.memory.live).toBe(live + kept.bytes + constant.bytes);
    expect([...(await read(kept)), ...(await read(constant))]).toEqual([2, 4, 4, 8]);
    kept.free();
    constant.free();
    end();
  });
});

describe('ops', () => {
  it('with a side effect run backward with zeros where nothing used their output; others do not', async () => {
    for (const sideEffect of [true, false]) {
      const { tape, x, gradient, end } = small();
      const { op, seen } = spy(sideEffect);
      tape.apply(op, { x }, undefined);
      const y = double(tape, x);
      tape.backward(y);
      expect((await Promise.all(seen)).map(d => Array.from(d))).toEqual(sideEffect ? [[0, 0]] : []);
      expect(Array.from(await read(gradient))).toEqual([2, 2]);
      y.free();
      end();
    }
  });

  it('see the whole gradient of their output, once', async () => {
    const { tape, x, gradient, end } = small();
    const { op, seen } = spy(false);
    const h = tape.apply(op, { x }, undefined);
    const y = tape.apply(add, { a: double(tape, h), b: double(tape, h) }, undefined);
    tape.backward(y);
    expect((await Promise.all(seen)).map(d => Array.from(d))).toEqual([[4, 4]]);
    expect(Array.from(await read(gradient))).toEqual([4, 4]);
    y.free();
    end();
  });

  it('may write the gradients of one tensor in two places in any order', async () => {
    const { tape, x, gradient, end } = small();
    // y = a + b, which writes b's gradient first and lets the tape hand on neither.
    const backwards: Op<{ a: Tensor; b: Tensor }, undefined> = {
      name: 'backwards',
      forward: (on, inputs) => add.forward(on, inputs, undefined),
      backward(on, context, dOutput, { a, b }) {
        if (add.backward === 'not differentiable') return;
        if (b) add.backward(on, context, dOutput, { b });
        if (a) add.backward(on, context, dOutput, { a });
      },
    };
    const h = tape.apply(backwards, { a: x, b: x }, undefined);
    const y = tape.apply(backwards, { a: h, b: h }, undefined);
    tape.backward(y);
    expect(Array.from(await read(gradient))).toEqual([4, 4]);
    y.free();
    end();
  });

  it('that are not differentiable refuse, where a gradient is wanted', () => {
    const { tape, x, c, live, end } = small();
    const op: Op<{ x: Tensor }, undefined> = {
      name: 'argmax',
      forward: (on, inputs) => add.forward(on, { a: inputs.x, b: inputs.x }, undefined),
      backward: 'not differentiable',
    };
    expect(() => tape.apply(op, { x }, undefined)).toThrow(/^argmax is not differentiable/);
    expect(() => tape.apply(op, { x: double(tape, x) }, undefined)).toThrow(/^argmax is not differentiable/);
    tape.discard();
    expect(gpu.pool.memory.live).toBe(live);
    tape.apply(op, { x: c }, undefined);
    tape.noGrad(() => tape.apply(op, { x }, undefined));
    tape.discard();
    end();
  });

  it('without a backward do not compile', () => {
    // @ts-expect-error An op must have a backward or say 'not differentiable'; leaving it out is a type error.
    const incomplete: Op<{ x: Tensor }, undefined> = {
      name: 'incomplete',
      forward: (on: Gpu, { x }: { x: Tensor }) => add.forward(on, { a: x, b: x }, undefined),
    };
    expect(incomplete.backward).toBeUndefined();
  });
});

/** A transformer block of T columns × 2 rows, 2 heads of 4, with the parameters' gradients. */
async function blocks(recomputed: boolean): Promise<{ values: Float32Array[]; peak: number }> {
  const [B, T, C, heads] = [2, 9, 8, 2];
  const random = seeded(8);
  const parameter = (...shape: number[]): Tensor => onDevice(gpu, normal(shape, random, 0.3));
  const own = Array.from({ length: 3 }, () => ({
    gamma: parameter(C),
    beta: parameter(C),
    wqkv: parameter(C, 3 * C),
    bqkv: parameter(3 * C),
    wo: parameter(C, C),
    wup: parameter(C, 4 * C),
    bup: parameter(4 * C),
    wdown: parameter(4 * C, C),
    store: KvStore.create(gpu, { columns: T, B, C }),
  }));
  const first = upload(gpu, Uint32Array.of(0, 3), [B]);
  const x = parameter(T * B, C);
  const dy = parameter(T * B, C);
  const tape = new Tape(gpu);
  const watched = [x, ...own.flatMap(({ store, ...tensors }) => Object.values(tensors))];
  const gradients = watched.map(tensor => empty(gpu, tensor.shape));
  for (const [k, tensor] of watched.entries()) tape.watch(tensor, gradients[k]!);
  const block = ({ store, ...p }: (typeof own)[number]) => {
    return (on: Tape, h: Tensor): Tensor => {
      const { gamma, beta } = p;
      const n = on.apply(layernorm, { x: h, gamma, beta }, { eps: 1e-5 });
      const qkv = on.apply(linear, { x: n, w: p.wqkv, b: p.bqkv }, {});
      const a = on.apply(attention, { qkv }, { store, t0: 0, first, heads });
      const h2 = on.apply(add, { a: h, b: on.apply(linear, { x: a, w: p.wo }, {}) }, undefined);
      const n2 = on.apply(layernorm, { x: h2, gamma, beta }, { eps: 1e-5 });
      const up = on.apply(gelu, { x: on.apply(linear, { x: n2, w: p.wup, b: p.bup }, {}) }, undefined);
      return on.apply(add, { a: h2, b: on.apply(linear, { x: up, w: p.wdown }, {}) }, undefined);
    };
  };
  const values: Float32Array[] = [];
  // The second step finds the stores' records made, so its peak is that of every later step.
  for (let step = 0; step < 2; step++) {
    const live = gpu.pool.memory.live;
    gpu.pool.resetPeak();
    tape.resetGradients();
    let h = x;
    for (const parameters of own) {
      const input = h;
      const work = (): Tensor => block(parameters)(tape, input);
      h = recomputed ? tape.recompute(work) : work();
    }
    tape.backward(h, dy);
    values.splice(0, values.length, await read(h));
    h.free();
    if (step > 0) expect(gpu.pool.memory.live, 'live bytes after a step').toBe(live);
    if (step > 0) values.push(...(await Promise.all(gradients.map(read))));
  }
  const { peak, live } = gpu.pool.memory;
  for (const tensor of [...watched, ...gradients, first, dy]) tensor.free();
  for (const { store } of own) store.free();
  return { values, peak: peak - live };
}

describe('recompute', () => {
  it('gives transformer blocks the same bits in less memory', async () => {
    const { live } = gpu.pool.memory;
    const kept = await blocks(false);
    const recomputed = await blocks(true);
    expect(recomputed.values).toEqual(kept.values);
    expect(kept.values.every(values => values.every(Number.isFinite))).toBe(true);
    expect(kept.values.every(values => values.some(value => value !== 0))).toBe(true);
    expect(recomputed.peak).toBeLessThan(0.6 * kept.peak);
    expect(gpu.pool.memory.live).toBe(live);
  });

  it('gives graphs drawn at random the same bits', async () => {
    const property = fc.asyncProperty(
      drawnSteps(9),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      async (drawn, p, q, seed) => {
        const from = p % drawn.length;
        const to = from + 1 + (q % (drawn.length - from));
        // From outside only the block's last result can be seen, and a block returns what it made.
        const last = LEAVES + to - 1;
        const outside = (k: number): number => (k >= LEAVES + from && k < last ? last : k);
        const steps = drawn.map((step, k): Step => {
          if (k === to - 1 && step.op === 'detach') return { op: 'gelu', a: step.a };
          if (k < to) return step;
          return 'b' in step
            ? { ...step, a: outside(step.a), b: outside(step.b) }
            : { ...step, a: outside(step.a) };
        });
        const { leaves, dOutput } = draw(seed);
        const plain = await outcome(leaves, steps, dOutput, { rounds: 2 });
        const recomputed = await outcome(leaves, steps, dOutput, { rounds: 2, block: [from, to] });
        expect(recomputed).toEqual(plain);
      },
    );
    await fc.assert(property, { numRuns: 40, seed: 3 });
  });

  it('may be nested, and is a constant under noGrad', async () => {
    const { tape, x, gradient, live, end } = small();
    const calls: boolean[] = [];
    const inner = (h: Tensor): Tensor =>
      tape.recompute(again => {
        calls.push(again);
        return double(tape, double(tape, h));
      });
    const outer = (): Tensor => tape.recompute(() => inner(inner(x)));
    const constant = tape.noGrad(outer);
    expect(calls).toEqual([false, false]);
    expect(gpu.pool.memory.live - live).toBe(constant.bytes);
    const y = tape.apply(add, { a: outer(), b: constant }, undefined);
    expect(calls).toHaveLength(4);
    tape.backward(y);
    // The outer piece runs its inner ones afresh, which then come again themselves, the last first.
    expect(calls.slice(4)).toEqual([false, false, true, true]);
    expect(Array.from(await read(y))).toEqual([32, 64]);
    expect(Array.from(await read(gradient))).toEqual([16, 16]);
    y.free();
    end();
  });

  it('of what needs no gradient, or hands on what it was given, leaves nothing behind', async () => {
    const { tape, x, gradient, end } = small();
    const constant = upload(gpu, Float32Array.of(1, 2), [2]);
    const y = tape.recompute(() => double(tape, constant));
    expect(tape.recompute(() => x)).toBe(x);
    const sum = tape.apply(add, { a: tape.recompute(() => double(tape, x)), b: y }, undefined);
    tape.backward(sum);
    expect(Array.from(await read(gradient))).toEqual([2, 2]);
    for (const tensor of [sum, constant]) tensor.free();
    end();
  });
});

describe('whenReached', () => {
  it('comes after the backward of all that was recorded since, and not under noGrad', () => {
    const { tape, x, end } = small();
    const order: string[] = [];
    const step = (name: string, h: Tensor): Tensor => {
      const forward = (on: Gpu, { x: input }: { x: Tensor }) =>
        add.forward(on, { a: input, b: input }, undefined);
      const backward = (_: Gpu, __: unknown, dy: Tensor, d: { x?: Slot }): void => {
        order.push(name);
        if (d.x) copy(dy, d.x.tensor, d.x.beta);
      };
      const op: Op<{ x: Tensor }, undefined> = { name, forward, backward };
      return tape.apply(op, { x: h }, undefined);
    };
    const a = step('first', x);
    tape.whenReached(() => order.push('between'));
    tape.noGrad(() => {
      tape.whenReached(() => order.push('never'));
      return a;
    });
    const c = step('last', step('second', a));
    tape.backward(c);
    expect(order).toEqual(['last', 'second', 'between', 'first']);
    tape.whenReached(() => order.push('discarded'));
    tape.discard();
    expect(order).toHaveLength(4);
    c.free();
    end();
  });
});
