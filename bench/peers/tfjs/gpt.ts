// The model in TensorFlow.js: a training step by its variables' gradients and its Adam, and generation with a K/V
// cache that grows by concatenation. Knows the model's numbers; knows no device.
import type { Prepared } from '../engine.ts';
import { ADAMW, CONFIG, D, parameters, T, tokenRows } from '../model.ts';
import type { WorkOf } from '../work.ts';
import type { Tensor, Tfjs, Variable } from './api.ts';
import { attention, causalMask, gelu, layernorm, onehot } from './ops.ts';

const { width: C, heads: H, layers, vocabSize: V } = CONFIG;

type Weights = ReadonlyMap<string, Tensor>;

/** Keys and values of one layer, [B, H, columns, D]. */
interface Cache {
  readonly k: Tensor;
  readonly v: Tensor;
}

export function prepareStep(tf: Tfjs): (work: WorkOf<'step'>) => Prepared {
  return ({ B }) => {
    const rows = tokenRows(B, T);
    const variables = parameters().map(({ name, shape, data, decays }) => {
      const initial = tf.tensor(data, shape);
      const variable = tf.variable(initial, true, name);
      initial.dispose();
      return { name, variable, decays };
    });
    const weights = new Map(variables.map(({ name, variable }): [string, Variable] => [name, variable]));
    const ids = tf.tensor(Int32Array.from(rows.flat()), [B * T], 'int32');
    // Column t predicts column t + 1; the last of a row predicts nothing.
    const labels = onehot(
      tf,
      rows.flatMap(row => row.slice(1)),
      V,
    );
    const mask = causalMask(tf, T);
    const { lr, beta1, beta2, eps, weightDecay } = ADAMW;
    const adam = tf.train.adam(lr, beta1, beta2, eps);
    const loss = (): Tensor => {
      const embedded = tf.reshape(tf.gather(weights.get('wte.weight')!, ids), [B, T, C]);
      const x = tf.reshape(tf.add(embedded, weights.get('wpe.weight')!), [B * T, C]);
      const { hidden } = blocks(tf, weights, x, { B, mask });
      const labelled = tf.slice(tf.reshape(hidden, [B, T, C]), [0, 0, 0], [B, T - 1, C]);
      const rowsLabelled = tf.reshape(labelled, [B * (T - 1), C]);
      return tf.losses.softmaxCrossEntropy(
        labels,
        tf.matMul(rowsLabelled, weights.get('wte.weight')!, false, true),
      );
    };
    /** The loss, which the caller disposes of. */
    const step = (): Tensor =>
      tf.tidy(() => {
        const { value, grads } = tf.variableGrads(loss);
        for (const { variable, decays } of variables)
          if (decays) variable.assign(tf.mul(variable, 1 - lr * weightDecay));
        adam.applyGradients(Object.entries(grads).map(([name, tensor]) => ({ name, tensor })));
        return value;
      });
    return {
      call: () => step().dispose(),
      async results() {
        const losses: number[] = [];
        for (let i = 0; i < 2; i++) {
          const value = step();
          losses.push((await value.data())[0]!);
          value.dispose();
        }
        return { losses: Float32Array.from(losses) };
      },
      free() {
        tf.dispose([...weights.values(), ids, labels, mask]);
        adam.dispose();
      },
    };
  };
}

export function prepareGeneration(tf: Tfjs): (work: WorkOf<'generation'>) => Prepared {
  return ({ B, prompt, tokens }) => {
    const weights = new Map(parameters().map(({ name, shape, data }) => [name, tf.tensor(data, shape)]));
    const ids = tf.tensor(Int32Array.from(tokenRows(B, prompt).flat()), [B * prompt], 'int32');
    const mask = causalMask(tf, prompt);
    const wte = weights.get('wte.weight')!;
    const wpe = weights.get('wpe.weight')!;
    const next = (hidden: Tensor): Tensor => tf.argMax(tf.matMul(hidden, wte, false, true), -1);

    /** Token columns, each [B]. */
    const once = (): Tensor[] => {
      const written: Tensor[] = [];
      let state = tf.tidy(() => {
        const embedded = tf.reshape(tf.gather(wte, ids), [B, prompt, C]);
        const x = tf.reshape(tf.add(embedded, tf.slice(wpe, [0, 0], [prompt, C])), [B * prompt, C]);
        const { hidden, caches } = blocks(tf, weights, x, { B, mask });
        const last = tf.slice(tf.reshape(hidden, [B, prompt, C]), [0, prompt - 1, 0], [B, 1, C]);
        return { caches, chosen: next(tf.reshape(last, [B, C])) };
      });
      written.push(state.chosen);
      for (let i = 1; i < tokens; i++) {
        const before = state;
        state = tf.tidy(() => {
          const position = tf.slice(wpe, [prompt + i - 1, 0], [1, C]);
          const x = tf.add(tf.gather(wte, before.chosen), position);
          const { hidden, caches } = blocks(tf, weights, x, { B, caches: before.caches });
          return { caches, chosen: next(hidden) };
        });
        written.push(state.chosen);
        dropCaches(before.caches);
      }
      dropCaches(state.caches);
      return written;
    };
    const dropCaches = (caches: readonly Cache[]): void => tf.dispose(caches.flatMap(({ k, v }) => [k, v]));
    const readAll = async (): Promise<Float32Array> => {
      const columns = once();
      const all = tf.tidy(() =>
        tf.concat(
          columns.map(column => tf.reshape(column, [B, 1])),
          1,
        ),
      );
      const values = await all.data();
      tf.dispose([...columns, all]);
      return values;
    };
    return {
      note: 'K/V cache by concatenation; one read at the end',
      async call() {
        await readAll();
      },
      results: async () => ({ tokens: Float32Array.from(await readAll()) }),
      free: () => tf.dispose([...weights.values(), ids, mask]),
    };
  };
}

interface Options {
  readonly B: number;
  /** [columns, columns]; none where a single column sees all others. */
  readonly mask?: Tensor;
  /** Of the columns before; none at the start of a row. */
  readonly caches?: readonly Cache[];
}

/** Blocks and final norm over rows x [B·columns, C], batch-major; the caches hold all columns so far. */
function blocks(
  tf: Tfjs,
  weights: Weights,
  x: Tensor,
  { B, mask, caches: before }: Options,
): { hidden: Tensor; caches: Cache[] } {
  const columns = x.shape[0]! / B;
  const w = (name: string): Tensor => weights.get(name)!;
  const normed = (y: Tensor, name: string): Tensor =>
    layernorm(tf, y, w(`${name}.weight`), w(`${name}.bias`));
  const linear = (y: Tensor, name: string): Tensor =>
    tf.add(tf.matMul(y, w(`${name}.weight`)), w(`${name}.bias`));
  const heads = (y: Tensor): Tensor => tf.transpose(tf.reshape(y, [B, columns, H, D]), [0, 2, 1, 3]);
  const caches: Cache[] = [];
  let h = x;
  for (let layer = 0; layer < layers; layer++) {
    const qkv = tf.split(linear(normed(h, `h.${layer}.ln_1`), `h.${layer}.attn.c_attn`), 3, 1).map(heads);
    const old = before?.[layer];
    const k = old ? tf.concat([old.k, qkv[1]!], 2) : qkv[1]!;
    const v = old ? tf.concat([old.v, qkv[2]!], 2) : qkv[2]!;
    caches.push({ k, v });
    const mixed = tf.transpose(attention(tf, qkv[0]!, k, v, mask), [0, 2, 1, 3]);
    h = tf.add(h, linear(tf.reshape(mixed, [B * columns, C]), `h.${layer}.attn.c_proj`));
    const inner = gelu(tf, linear(normed(h, `h.${layer}.ln_2`), `h.${layer}.mlp.c_fc`));
    h = tf.add(h, linear(inner, `h.${layer}.mlp.c_proj`));
  }
  return { hidden: normed(h, 'ln_f'), caches };
}
