// Single ops in TensorFlow.js, each in the form that was the fastest of those tried. Knows the work's inputs; knows no
// device.
import { problemOf, type SingleOp, targetsOf } from '../data.ts';
import type { Prepared, Results } from '../engine.ts';
import { fromHeads, toHeads } from '../layout.ts';
import type { WorkOf } from '../work.ts';
import type { Tensor, Tfjs } from './api.ts';

const EPS = 1e-5;

export function prepareMatmul(tf: Tfjs): (work: WorkOf<'matmul'>) => Prepared {
  return work => {
    const { a, b } = inputsOf(tf, work);
    const { form } = work;
    return prepared(tf, [a!, b!], () => ({ y: tf.matMul(a!, b!, form === 'TN', form === 'NT') }));
  };
}

export function prepareLayernorm(tf: Tfjs): (work: WorkOf<'layernorm'>) => Prepared {
  return work => {
    const { x, gamma, beta, dy } = inputsOf(tf, work);
    if (work.pass === 'forward')
      return prepared(tf, [x!, gamma!, beta!], () => ({ y: layernorm(tf, x!, gamma!, beta!) }));
    const gradients = tf.grads((...inputs) => layernorm(tf, inputs[0]!, inputs[1]!, inputs[2]!));
    return prepared(tf, [x!, gamma!, beta!, dy!], () => {
      const [dx, dgamma, dbeta] = gradients([x!, gamma!, beta!], dy);
      return { dx: dx!, dgamma: dgamma!, dbeta: dbeta! };
    });
  };
}

export function prepareSoftmax(tf: Tfjs): (work: WorkOf<'softmax'>) => Prepared {
  return work => {
    const { logits } = inputsOf(tf, work);
    return prepared(tf, [logits!], () => ({ y: tf.softmax(logits!) }));
  };
}

export function prepareGelu(tf: Tfjs): (work: WorkOf<'gelu'>) => Prepared {
  return work => {
    const { x } = inputsOf(tf, work);
    return prepared(tf, [x!], () => ({ y: gelu(tf, x!) }));
  };
}

export function prepareCrossEntropy(tf: Tfjs): (work: WorkOf<'cross-entropy'>) => Prepared {
  return work => {
    const { logits } = inputsOf(tf, work);
    const targets = onehot(tf, targetsOf(work), work.V);
    const lossAndGradient = tf.valueAndGrad(x => tf.losses.softmaxCrossEntropy(targets, x));
    return prepared(tf, [logits!, targets], () => {
      const { value, grad } = lossAndGradient(logits!);
      return { y: value, dlogits: grad };
    });
  };
}

export function prepareAttention(tf: Tfjs): (work: WorkOf<'attention'>) => Prepared {
  return work => {
    const { inputs, dOutput } = problemOf(work);
    const { B, T, H, D } = work;
    const shape = [B, H, T, D];
    const heads = (data: Float64Array, part: number, parts: number): Tensor =>
      tf.tensor(toHeads(data, work, 'BHTD', part, parts), shape);
    const qkv = [0, 1, 2].map(part => heads(inputs.qkv!.data, part, 3));
    const mask = causalMask(tf, T);
    const run = (...[q, k, v]: Tensor[]): Tensor => attention(tf, q!, k!, v!, mask);
    if (!dOutput)
      return prepared(
        tf,
        [...qkv, mask],
        () => ({ y: run(...qkv) }),
        ({ y }) => ({ y: fromHeads([y!], work, 'BHTD') }),
      );
    const dy = heads(dOutput.data, 0, 1);
    const gradients = tf.grads(run);
    return prepared(
      tf,
      [...qkv, mask, dy],
      () => {
        const [dq, dk, dv] = gradients(qkv, dy);
        return { dq: dq!, dk: dk!, dv: dv! };
      },
      ({ dq, dk, dv }) => ({ dqkv: fromHeads([dq!, dk!, dv!], work, 'BHTD') }),
    );
  };
}

/** (x - mean) / sqrt(variance + eps) · gamma + beta over the last of two dimensions. */
export function layernorm(tf: Tfjs, x: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  const normal = tf.mul(centred, tf.rsqrt(tf.add(variance, EPS)));
  return tf.add(tf.mul(normal, gamma), beta);
}

/** The tanh form; TensorFlow.js has no kernel for it. */
export function gelu(tf: Tfjs, x: Tensor): Tensor {
  const inner = tf.mul(tf.mul(x, tf.add(tf.mul(tf.square(x), 0.044715), 1)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}

/** q, k, v [B, H, T, D]. */
export function attention(tf: Tfjs, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined): Tensor {
  const scores = tf.matMul(tf.mul(q, q.shape[3]! ** -0.5), k, false, true);
  return tf.matMul(tf.softmax(mask ? tf.add(scores, mask) : scores), v);
}

/** [T, T]: 0 where a query sees a key, and a number that no score makes up for elsewhere. */
export function causalMask(tf: Tfjs, T: number): Tensor {
  const values = Float32Array.from({ length: T * T }, (_, i) => (i % T <= Math.floor(i / T) ? 0 : -1e9));
  return tf.tensor(values, [T, T]);
}

/** [R, V] */
export function onehot(tf: Tfjs, targets: ArrayLike<number>, V: number): Tensor {
  const values = new Float32Array(targets.length * V);
  for (let r = 0; r < targets.length; r++) values[r * V + targets[r]!] = 1;
  return tf.tensor(values, [targets.length, V]);
}

function inputsOf(tf: Tfjs, work: SingleOp): Record<string, Tensor> {
  const { inputs, dOutput } = problemOf(work);
  const arrays = { ...inputs, ...(dOutput && { dy: dOutput }) };
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { data, shape }]) => [
      name,
      tf.tensor(Float32Array.from(data), shape),
    ]),
  );
}

/** Work that makes tensors by name; `finish` brings what was read into the references' form. */
function prepared(
  tf: Tfjs,
  inputs: readonly Tensor[],
  make: () => Record<string, Tensor>,
  finish: (read: Record<string, Float32Array>) => Results = read => read,
): Prepared {
  return {
    call() {
      const made = tf.tidy(make);
      tf.dispose(Object.values(made));
    },
    async results() {
      const made = tf.tidy(make);
      const read: Record<string, Float32Array> = {};
      for (const [name, tensor] of Object.entries(made)) read[name] = await tensor.data();
      tf.dispose(Object.values(made));
      return finish(read);
    },
    free: () => tf.dispose(inputs),
  };
}
