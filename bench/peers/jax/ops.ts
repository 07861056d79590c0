// Single ops in jax-js, each one jit. Knows the work's inputs; knows no device.
import { problemOf, type SingleOp, targetsOf } from '../data.ts';
import type { Prepared, Results } from '../engine.ts';
import { fromHeads, toHeads } from '../layout.ts';
import type { WorkOf } from '../work.ts';
import type { Jax, JaxArray } from './api.ts';

const EPS = 1e-5;

export function prepareMatmul(jax: Jax): (work: WorkOf<'matmul'>) => Prepared {
  const { numpy: np } = jax;
  return work => {
    const { a, b } = inputsOf(jax, work);
    const transposed = (x: JaxArray, is: boolean): JaxArray => (is ? np.matrixTranspose(x) : x);
    return prepared(jax, [a!, b!], (x, y) => ({
      y: np.matmul(transposed(x!, work.form === 'TN'), transposed(y!, work.form === 'NT')),
    }));
  };
}

export function prepareLayernorm(jax: Jax): (work: WorkOf<'layernorm'>) => Prepared {
  return work => {
    const { x, gamma, beta, dy } = inputsOf(jax, work);
    const run = (...inputs: JaxArray[]): JaxArray => layernorm(jax, inputs[0]!, inputs[1]!, inputs[2]!);
    if (work.pass === 'forward')
      return prepared(jax, [x!, gamma!, beta!], (...inputs) => ({ y: run(...inputs) }));
    return prepared(jax, [x!, gamma!, beta!, dy!], (...inputs) => {
      const [dx, dgamma, dbeta] = gradientsOf(jax, run, inputs.slice(0, 3), inputs[3]!);
      return { dx: dx!, dgamma: dgamma!, dbeta: dbeta! };
    });
  };
}

export function prepareSoftmax(jax: Jax): (work: WorkOf<'softmax'>) => Prepared {
  return work => {
    const { logits } = inputsOf(jax, work);
    return prepared(jax, [logits!], x => ({ y: jax.nn.softmax(x!, -1) }));
  };
}

export function prepareGelu(jax: Jax): (work: WorkOf<'gelu'>) => Prepared {
  return work => {
    const { x: input } = inputsOf(jax, work);
    return prepared(jax, [input!], x => ({ y: jax.nn.gelu(x!, { approximate: true }) }));
  };
}

export function prepareCrossEntropy(jax: Jax): (work: WorkOf<'cross-entropy'>) => Prepared {
  return work => {
    const { logits } = inputsOf(jax, work);
    const targets = onehot(jax, targetsOf(work), work.V);
    return prepared(jax, [logits!, targets], (x, onehots) => {
      const loss = (y: JaxArray): JaxArray => crossEntropy(jax, y, onehots!, work.R);
      const [value, gradient] = jax.valueAndGrad(loss)(x!);
      return { y: value, dlogits: gradient };
    });
  };
}

export function prepareAttention(jax: Jax): (work: WorkOf<'attention'>) => Prepared {
  return work => {
    const { inputs, dOutput } = problemOf(work);
    const { B, T, H, D } = work;
    const heads = (data: Float64Array, part: number, parts: number): JaxArray =>
      jax.numpy.array(toHeads(data, work, 'BTHD', part, parts), { shape: [B, T, H, D] });
    const qkv = [0, 1, 2].map(part => heads(inputs.qkv!.data, part, 3));
    const run = (...[q, k, v]: JaxArray[]): JaxArray =>
      jax.nn.dotProductAttention(q!, k!, v!, { isCausal: true });
    if (!dOutput)
      return prepared(
        jax,
        qkv,
        (...x) => ({ y: run(...x) }),
        ({ y }) => ({ y: fromHeads([y!], work, 'BTHD') }),
      );
    return prepared(
      jax,
      [...qkv, heads(dOutput.data, 0, 1)],
      (...x) => {
        const [dq, dk, dv] = gradientsOf(jax, run, x.slice(0, 3), x[3]!);
        return { dq: dq!, dk: dk!, dv: dv! };
      },
      ({ dq, dk, dv }) => ({ dqkv: fromHeads([dq!, dk!, dv!], work, 'BTHD') }),
    );
  };
}

/** (x - mean) / sqrt(variance + eps) · gamma + beta over the last dimension. */
export function layernorm({ nn }: Jax, x: JaxArray, gamma: JaxArray, beta: JaxArray): JaxArray {
  return nn.standardize(x, -1, { epsilon: EPS }).mul(gamma).add(beta);
}

/** Mean over `rows`, the rows of `onehots` [R, V] that are not zero. `onehots` stays the caller's. */
export function crossEntropy({ nn }: Jax, logits: JaxArray, onehots: JaxArray, rows: number): JaxArray {
  return nn
    .logSoftmax(logits, -1)
    .mul(onehots.ref)
    .sum()
    .mul(-1 / rows);
}

/** [R, V] */
export function onehot({ numpy }: Jax, targets: ArrayLike<number>, V: number): JaxArray {
  const values = new Float32Array(targets.length * V);
  for (let r = 0; r < targets.length; r++) values[r * V + targets[r]!] = 1;
  return numpy.array(values, { shape: [targets.length, V] });
}

function gradientsOf(
  { vjp }: Jax,
  f: (...inputs: JaxArray[]) => JaxArray,
  inputs: readonly JaxArray[],
  dy: JaxArray,
): JaxArray[] {
  const [y, pull] = vjp(f, inputs);
  y.dispose();
  const gradients = pull(dy);
  pull.dispose();
  return gradients;
}

function inputsOf({ numpy }: Jax, work: SingleOp): Record<string, JaxArray> {
  const { inputs, dOutput } = problemOf(work);
  const arrays = { ...inputs, ...(dOutput && { dy: dOutput }) };
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { data, shape }]) => [
      name,
      numpy.array(Float32Array.from(data), { shape }),
    ]),
  );
}

/** Work that makes arrays by name; `finish` brings what was read into the references' form. */
function prepared(
  { jit }: Jax,
  inputs: readonly JaxArray[],
  make: (...inputs: JaxArray[]) => Record<string, JaxArray>,
  finish: (read: Record<string, Float32Array>) => Results = read => read,
): Prepared {
  const compiled = jit(make);
  const once = (): Record<string, JaxArray> => compiled(...inputs.map(input => input.ref));
  return {
    call() {
      for (const array of Object.values(once())) array.gpuBufferSync();
    },
    async results() {
      const read: Record<string, Float32Array> = {};
      for (const [name, array] of Object.entries(once())) read[name] = await array.data();
      return finish(read);
    },
    free() {
      for (const input of inputs) input.dispose();
      compiled.dispose();
    },
  };
}
