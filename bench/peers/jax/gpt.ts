// The model in jax-js: a training step as one jit, and generation as one jit for the prompt and one for a token.
// Knows the model's numbers; knows no device.
import type { Prepared } from '../engine.ts';
import { ADAMW, adamwScalars, CONFIG, D, parameters, T, tokenRows } from '../model.ts';
import type { WorkOf } from '../work.ts';
import type { Jax, JaxArray } from './api.ts';
import { crossEntropy, layernorm, onehot } from './ops.ts';

const { width: C, heads: H, layers, vocabSize: V } = CONFIG;

type Weights = Record<string, JaxArray>;

/** Weights, AdamW's moments. */
interface State {
  readonly weights: Weights;
  readonly m: Weights;
  readonly v: Weights;
}

export function prepareStep(jax: Jax): (work: WorkOf<'step'>) => Prepared {
  const { numpy: np } = jax;
  const decays = new Map(parameters().map(parameter => [parameter.name, parameter.decays]));
  return ({ B }) => {
    const rows = tokenRows(B, T);
    const ids = onehot(jax, rows.flat(), V);
    const labels = onehot(
      jax,
      rows.flatMap(row => row.slice(1)),
      V,
    );
    const zeros = (): Weights =>
      Object.fromEntries(parameters().map(({ name, shape }) => [name, np.zeros(shape)]));
    let state: State = { weights: load(jax), m: zeros(), v: zeros() };
    let steps = 0;

    const compiled = jax.jit(
      (from: State, idRows: JaxArray, labelRows: JaxArray, rate: JaxArray, rootCorrection: JaxArray) => {
        const [loss, gradients] = jax.valueAndGrad((weights: Weights) =>
          lossOf(jax, weights, idRows, labelRows, B),
        )(jax.tree.ref(from.weights));
        const to: State = { weights: {}, m: {}, v: {} };
        for (const [name, gradient] of Object.entries(gradients)) {
          const { beta1, beta2, eps, lr, weightDecay } = ADAMW;
          const weight = from.weights[name]!;
          const m = from.m[name]!.mul(beta1).add(gradient.ref.mul(1 - beta1));
          const v = from.v[name]!.mul(beta2).add(np.square(gradient).mul(1 - beta2));
          const kept = decays.get(name) ? weight.mul(1 - lr * weightDecay) : weight;
          const root = np.sqrt(v.ref).mul(rootCorrection.ref).add(eps);
          to.weights[name] = kept.sub(m.ref.mul(rate.ref).div(root));
          to.m[name] = m;
          to.v[name] = v;
        }
        for (const used of [idRows, labelRows, rate, rootCorrection]) used.dispose();
        return { loss, state: to };
      },
    );
    /** The loss, which the caller owns. */
    const step = (): JaxArray => {
      steps++;
      const { rate, rootCorrection } = adamwScalars(steps);
      const scalar = (value: number): JaxArray => np.array(Float32Array.of(value), { shape: [1] });
      const made = compiled(state, ids.ref, labels.ref, scalar(rate), scalar(rootCorrection));
      state = made.state;
      return made.loss;
    };
    return {
      note: 'one jit; embedding as a product with one-hot rows, since jit has no scatter',
      call() {
        step().gpuBufferSync();
      },
      async results() {
        const losses: number[] = [];
        for (let i = 0; i < 2; i++) losses.push((await step().data())[0]!);
        return { losses: Float32Array.from(losses) };
      },
      free() {
        jax.tree.dispose([state, ids, labels]);
        compiled.dispose();
      },
    };
  };
}

/** Loss of rows of T columns. Owns `weights` and nothing else. */
function lossOf(jax: Jax, weights: Weights, ids: JaxArray, labels: JaxArray, B: number): JaxArray {
  const { numpy: np } = jax;
  const embedded = np.matmul(ids.ref, weights['wte.weight']!.ref).reshape([B, T, C]);
  let x = embedded.add(weights['wpe.weight']!).reshape([B * T, C]);
  for (let layer = 0; layer < layers; layer++) x = block(jax, weights, layer, x, B, causal(jax)).x;
  const hidden = norm(jax, weights, 'ln_f', x);
  // Column t predicts column t + 1; the last of a row predicts nothing.
  const [labelled, last] = np.split(hidden.reshape([B, T, C]), [T - 1], 1);
  last!.dispose();
  const logits = np.matmul(labelled!.reshape([B * (T - 1), C]), np.matrixTranspose(weights['wte.weight']!));
  return crossEntropy(jax, logits, labels, B * (T - 1));
}

/** Keys and values of all columns of one layer, [B, columns, H, D]. */
interface Cache {
  readonly k: JaxArray;
  readonly v: JaxArray;
}

/** q, k, v of the block's own columns to what its queries see, and the cache that is left. */
type Attend = (layer: number, q: JaxArray, k: JaxArray, v: JaxArray) => { y: JaxArray; cache?: Cache };

function causal({ nn }: Jax): Attend {
  return (_, q, k, v) => ({ y: nn.dotProductAttention(q, k, v, { isCausal: true }) });
}

/** One block over rows x [B·columns, C], batch-major. Uses up its own weights. */
function block(
  jax: Jax,
  weights: Weights,
  layer: number,
  x: JaxArray,
  B: number,
  attend: Attend,
): { x: JaxArray; cache: Cache | undefined } {
  const { numpy: np, nn } = jax;
  const columns = x.shape[0]! / B;
  const linear = (y: JaxArray, name: string): JaxArray =>
    np.matmul(y, weights[`h.${layer}.${name}.weight`]!).add(weights[`h.${layer}.${name}.bias`]!);
  const qkv = linear(norm(jax, weights, `h.${layer}.ln_1`, x.ref), 'attn.c_attn');
  const [q, k, v] = np.split(qkv, 3, 1).map(part => part.reshape([B, columns, H, D]));
  const { y, cache } = attend(layer, q!, k!, v!);
  const middle = x.add(linear(y.reshape([B * columns, C]), 'attn.c_proj'));
  const inner = linear(norm(jax, weights, `h.${layer}.ln_2`, middle.ref), 'mlp.c_fc');
  return { x: middle.add(linear(nn.gelu(inner, { approximate: true }), 'mlp.c_proj')), cache };
}

function norm(jax: Jax, weights: Weights, name: string, x: JaxArray): JaxArray {
  return layernorm(jax, x, weights[`${name}.weight`]!, weights[`${name}.bias`]!);
}

function load({ numpy }: Jax): Weights {
  return Object.fromEntries(
    parameters().map(({ name, shape, data }) => [name, numpy.array(data.slice(), { shape })]),
  );
}

export function prepareGeneration(jax: Jax): (work: WorkOf<'generation'>) => Prepared {
  const { numpy: np, nn } = jax;
  return ({ B, prompt, tokens }) => {
    const weights = load(jax);
    const ids = onehot(jax, tokenRows(B, prompt).flat(), V);
    /** Columns of the cache. */
    const all = prompt + tokens;

    /** One-hot rows of the likeliest tokens, and the tokens. */
    const choose = (hidden: JaxArray, wte: JaxArray): { chosen: JaxArray; next: JaxArray } => {
      const chosen = np.argmax(np.matmul(hidden, np.matrixTranspose(wte)), -1);
      return { next: nn.oneHot(chosen.ref, V), chosen };
    };

    const start = jax.jit((w: Weights, idRows: JaxArray) => {
      const [wpe, later] = np.split(w['wpe.weight']!, [prompt], 0);
      later!.dispose();
      const embedded = np.matmul(idRows, w['wte.weight']!.ref).reshape([B, prompt, C]);
      let x = embedded.add(wpe!).reshape([B * prompt, C]);
      const caches: Cache[] = [];
      for (let layer = 0; layer < layers; layer++) {
        const made = block(jax, w, layer, x, B, (_, q, k, v) => {
          const padded = (y: JaxArray): JaxArray => np.concatenate([y, np.zeros([B, all - prompt, H, D])], 1);
          const cache = { k: padded(k.ref), v: padded(v.ref) };
          return { y: nn.dotProductAttention(q, k, v, { isCausal: true }), cache };
        });
        x = made.x;
        caches.push(made.cache!);
      }
      const hidden = norm(jax, w, 'ln_f', x).reshape([B, prompt, C]);
      const [before, last] = np.split(hidden, [prompt - 1], 1);
      before!.dispose();
      return { caches, ...choose(last!.reshape([B, C]), w['wte.weight']!) };
    });

    const go = jax.jit((w: Weights, caches: readonly Cache[], idRows: JaxArray, here: JaxArray) => {
      // `here` [positions]: 1 at the column's own position.
      const position = np.matmul(here.ref.reshape([1, CONFIG.positions]), w['wpe.weight']!);
      let x = np.matmul(idRows, w['wte.weight']!.ref).add(position);
      const [own, later] = np.split(here, [all], 0);
      later!.dispose();
      const seen = np.lessEqual(np.arange(all), np.arange(all).mul(own!.ref).sum());
      const place = np.equal(own!, 1).reshape([1, all, 1, 1]);
      const out: Cache[] = [];
      for (let layer = 0; layer < layers; layer++) {
        const made = block(jax, w, layer, x, B, (_, q, k, v) => {
          const old = caches[layer]!;
          const cache = { k: np.where(place.ref, k, old.k), v: np.where(place.ref, v, old.v) };
          const mask = seen.ref.reshape([1, 1, 1, all]);
          return { y: nn.dotProductAttention(q, cache.k.ref, cache.v.ref, { mask }), cache };
        });
        x = made.x;
        out.push(made.cache!);
      }
      for (const used of [seen, place]) used.dispose();
      return { caches: out, ...choose(norm(jax, w, 'ln_f', x), w['wte.weight']!) };
    });

    /** Tokens [B] of each column. */
    const once = (): JaxArray[] => {
      const written: JaxArray[] = [];
      let made = start(jax.tree.ref(weights), ids.ref);
      written.push(made.chosen);
      for (let i = 1; i < tokens; i++) {
        const here = new Float32Array(CONFIG.positions);
        here[prompt + i - 1] = 1;
        const at = np.array(here, { shape: [CONFIG.positions] });
        made = go(jax.tree.ref(weights), made.caches, made.next, at);
        written.push(made.chosen);
      }
      jax.tree.dispose([made.caches, made.next]);
      return written;
    };
    const readAll = async (): Promise<Float32Array> => {
      const columns: ArrayLike<number>[] = [];
      for (const column of once()) columns.push(await column.data());
      return Float32Array.from(
        { length: B * tokens },
        (_, i) => columns[i % tokens]![Math.floor(i / tokens)]!,
      );
    };
    return {
      note: 'one jit a token; K/V cache of fixed length, written by selection; one read at the end',
      async call() {
        await readAll();
      },
      results: async () => ({ tokens: await readAll() }),
      free() {
        jax.tree.dispose([weights, ids]);
        start.dispose();
        go.dispose();
      },
    };
  };
}
