// The whole model in float64: GPT-2 with the latent recurrence and the truncation window, forward and backward
// by hand. It is the specification of src/model and stays naive: one column of one row at a time, left to right,
// then right to left. It knows nothing of passes, batches of columns or devices, which is the point: passes are
// how the engine schedules this, and must not change a number.
//
// Why column order suffices for the backward: column t influences only columns right of it, through its K and V in
// every layer and, where t+1 is a latent, through its hidden state. So when the backward reaches column t from
// the right, its dK, dV and dHidden are complete.
import {
  addTo,
  attention,
  attentionBackward,
  gelu,
  geluBackward,
  layerNorm,
  layerNormBackward,
  linear,
  linearBackward,
  plus,
  softmax,
} from './math.ts';

/** The keys of a Hugging Face GPT-2 config.json that the numerics depend on, and the latent token. */
export interface ReferenceConfig {
  readonly n_layer: number;
  readonly n_head: number;
  readonly n_embd: number;
  /** Width of the MLP's hidden layer; null or absent for 4C. */
  readonly n_inner?: number | null;
  readonly vocab_size: number;
  readonly n_positions: number;
  readonly layer_norm_epsilon: number;
  readonly latent_token_id: number;
  /** false: the head has weights of its own, `lm_head.weight`; else it is the token embedding. */
  readonly tie_word_embeddings?: boolean;
}

/** Arrays [B][T] as in a parity batch file: labels unshifted with -100 for none, mask 0 at pads on either side. */
export interface ReferenceBatch {
  readonly input_ids: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
  readonly position_ids: readonly (readonly number[])[];
}

/** Weights or gradients by Hugging Face name (`transformer.wte.weight`, …), row-major, [in, out] for matrices. */
export type Weights = Map<string, Float64Array>;

export interface ReferenceModel {
  readonly config: ReferenceConfig;
  readonly weights: Weights;
}

/** What the backward of one block needs of one column: all vectors [C] except `fc`, [4C] or what n_inner says. */
interface LayerTrace {
  readonly x: Float64Array; // the block's input
  readonly ln1: Float64Array;
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly y: Float64Array; // attention before c_proj
  readonly mid: Float64Array; // after the attention residual
  readonly ln2: Float64Array;
  readonly fc: Float64Array; // before GELU
}

/** One real column: its blocks and its state after them and after ln_f. */
interface Column {
  readonly layers: readonly LayerTrace[];
  readonly x: Float64Array;
  readonly hidden: Float64Array;
}

/** `columns[b][t]`; undefined at pads, which no real column can see. */
export type Trace = readonly (readonly (Column | undefined)[])[];

/** The names of all parameters and their shapes, in the order of Hugging Face's `named_parameters()`. */
export function parameterShapes(config: ReferenceConfig): Map<string, readonly number[]> {
  const { n_embd: C, vocab_size: V, n_positions: P } = config;
  const inner = config.n_inner ?? 4 * C;
  const shapes = new Map<string, readonly number[]>();
  const add = (name: string, shape: readonly number[]) => shapes.set('transformer.' + name, shape);
  const addLinear = (name: string, inputs: number, outputs: number) => {
    add(name + '.weight', [inputs, outputs]);
    add(name + '.bias', [outputs]);
  };
  const addNorm = (name: string) => {
    add(name + '.weight', [C]);
    add(name + '.bias', [C]);
  };
  add('wte.weight', [V, C]);
  add('wpe.weight', [P, C]);
  for (let layer = 0; layer < config.n_layer; layer++) {
    addNorm(`h.${layer}.ln_1`);
    addLinear(`h.${layer}.attn.c_attn`, C, 3 * C);
    addLinear(`h.${layer}.attn.c_proj`, C, C);
    addNorm(`h.${layer}.ln_2`);
    addLinear(`h.${layer}.mlp.c_fc`, C, inner);
    addLinear(`h.${layer}.mlp.c_proj`, inner, C);
  }
  addNorm('ln_f');
  if (config.tie_word_embeddings === false) shapes.set('lm_head.weight', [V, C]);
  return shapes;
}

const isLatent = (model: ReferenceModel, batch: ReferenceBatch, b: number, t: number) =>
  batch.input_ids[b]![t] === model.config.latent_token_id;

/** Row `index` of a matrix with `width` columns, as a view. */
const row = (matrix: Float64Array, index: number, width: number) =>
  matrix.subarray(index * width, (index + 1) * width);

/**
 * Columns of a row whose K/V and hidden state are constants to everything after them: with window k and n
 * latents, the first n-k latent columns. A finite window needs equal counts, as in the engine.
 */
function constantColumns(model: ReferenceModel, batch: ReferenceBatch, window: number | 'full'): Set<number> {
  if (window === 'full') return new Set();
  const latents = batch.input_ids.map((ids, b) =>
    ids.flatMap((_, t) => (isLatent(model, batch, b, t) ? [t] : [])),
  );
  if (new Set(latents.map(columns => columns.length)).size > 1) {
    throw new Error('a finite window needs the same number of latents in every row');
  }
  return new Set(latents[0]!.slice(0, Math.max(0, latents[0]!.length - window)));
}

function forwardColumn(model: ReferenceModel, embedding: Float64Array, earlier: readonly Column[]): Column {
  const { n_layer, n_head, n_embd: C, layer_norm_epsilon: eps } = model.config;
  const w = (name: string) => model.weights.get('transformer.' + name)!;
  const project = (name: string, x: Float64Array) => linear(x, w(name + '.weight'), w(name + '.bias'));
  const norm = (name: string, x: Float64Array) => layerNorm(x, w(name + '.weight'), w(name + '.bias'), eps);
  const layers: LayerTrace[] = [];
  let x = embedding;
  for (let layer = 0; layer < n_layer; layer++) {
    const h = `h.${layer}.`;
    const ln1 = norm(h + 'ln_1', x);
    const qkv = project(h + 'attn.c_attn', ln1);
    const [q, k, v] = [0, 1, 2].map(part => row(qkv, part, C)) as [Float64Array, Float64Array, Float64Array];
    const keys = [...earlier.map(column => column.layers[layer]!.k), k];
    const values = [...earlier.map(column => column.layers[layer]!.v), v];
    const y = attention(q, keys, values, n_head);
    const mid = plus(x, project(h + 'attn.c_proj', y));
    const ln2 = norm(h + 'ln_2', mid);
    const fc = project(h + 'mlp.c_fc', ln2);
    layers.push({ x, ln1, q, k, v, y, mid, ln2, fc });
    x = plus(mid, project(h + 'mlp.c_proj', gelu(fc)));
  }
  return { layers, x, hidden: norm('ln_f', x) };
}

/**
 * Every real column of every row. A latent's input embedding is the hidden state (after ln_f) of the column
 * before it; its position embedding is added like any other's.
 *
 * `constants` takes the columns that `window` makes constant from an earlier trace instead of computing them: what
 * a finite-difference check of a truncated gradient must hold still.
 */
export function forward(
  model: ReferenceModel,
  batch: ReferenceBatch,
  constants?: { trace: Trace; window: number | 'full' },
): Trace {
  const C = model.config.n_embd;
  const wte = model.weights.get('transformer.wte.weight')!;
  const wpe = model.weights.get('transformer.wpe.weight')!;
  const frozen = constants ? constantColumns(model, batch, constants.window) : new Set<number>();
  return batch.input_ids.map((ids, b) => {
    const columns: (Column | undefined)[] = [];
    ids.forEach((id, t) => {
      if (batch.attention_mask[b]![t] === 0) columns.push(undefined);
      else if (frozen.has(t)) columns.push(constants!.trace[b]![t]);
      else {
        const input = isLatent(model, batch, b, t) ? columns[t - 1]!.hidden : row(wte, id, C);
        const embedding = plus(input, row(wpe, batch.position_ids[b]![t]!, C));
        const earlier = columns.filter(column => column !== undefined);
        columns.push(forwardColumn(model, embedding, earlier));
      }
    });
    return columns;
  });
}

const headOf = (weights: Weights) => weights.get('lm_head.weight') ?? weights.get('transformer.wte.weight')!;

/** Logits [V] of a hidden state [C]. */
export function logits(model: ReferenceModel, hidden: Float64Array): Float64Array {
  const { vocab_size: V, n_embd: C } = model.config;
  const head = headOf(model.weights);
  return Float64Array.from({ length: V }, (_, v) =>
    row(head, v, C).reduce((dot, weight, i) => dot + weight * hidden[i]!, 0),
  );
}

/** The label predicted at column t, the one of column t+1; undefined where there is none. */
function labelAt(batch: ReferenceBatch, b: number, t: number): number | undefined {
  const label = batch.labels[b]![t + 1];
  return label === undefined || label === -100 ? undefined : label;
}

function labelCount(batch: ReferenceBatch): number {
  return batch.labels.flatMap(labels => labels.slice(1)).filter(label => label !== -100).length;
}

/** Mean cross-entropy over all labels of the batch. */
export function lossOf(model: ReferenceModel, batch: ReferenceBatch, trace: Trace): number {
  let total = 0;
  trace.forEach((columns, b) => {
    columns.forEach((column, t) => {
      const label = labelAt(batch, b, t);
      if (column && label !== undefined) total -= Math.log(softmax(logits(model, column.hidden))[label]!);
    });
  });
  return total / labelCount(batch);
}

/** Gradients of the loss for every parameter, through the recorded columns of `window`. */
export function backward(
  model: ReferenceModel,
  batch: ReferenceBatch,
  trace: Trace,
  window: number | 'full',
): Weights {
  const C = model.config.n_embd;
  const grads: Weights = new Map();
  for (const [name, weight] of model.weights) grads.set(name, new Float64Array(weight.length));
  const constant = constantColumns(model, batch, window);
  const head = headOf(model.weights);
  const dHead = headOf(grads);
  const dWte = grads.get('transformer.wte.weight')!;
  const dWpe = grads.get('transformer.wpe.weight')!;
  const labels = labelCount(batch);

  trace.forEach((columns, b) => {
    const zeros = () => columns.map(() => new Float64Array(C));
    const dK = Array.from({ length: model.config.n_layer }, zeros);
    const dV = Array.from({ length: model.config.n_layer }, zeros);
    const dHidden = zeros();
    for (let t = columns.length - 1; t >= 0; t--) {
      const column = columns[t];
      if (!column) continue;
      const label = labelAt(batch, b, t);
      if (label !== undefined) {
        // logits = hidden·headᵀ; loss = -log softmax(logits)[label] / labels. The head itself is always recorded.
        const dLogits = softmax(logits(model, column.hidden)).map(
          (p, v) => (p - (v === label ? 1 : 0)) / labels,
        );
        dLogits.forEach((d, v) => {
          for (let i = 0; i < C; i++) {
            dHead[v * C + i]! += d * column.hidden[i]!;
            dHidden[t]![i]! += d * head[v * C + i]!;
          }
        });
      }
      if (constant.has(t)) continue;
      const earlier = columns.flatMap((c, j) => (c && j <= t ? [j] : []));
      const dEmbedding = backwardColumn(model, columns, earlier, dHidden[t]!, dK, dV, grads);
      // embedding = (latent ? hidden[t-1] : wte[id]) + wpe[position]
      const dInput = isLatent(model, batch, b, t) ? dHidden[t - 1]! : row(dWte, batch.input_ids[b]![t]!, C);
      addTo(dInput, dEmbedding);
      addTo(row(dWpe, batch.position_ids[b]![t]!, C), dEmbedding);
    }
  });
  return grads;
}

/**
 * Backward of the last of the columns `earlier` (all it attends to, itself included): consumes its own dK and
 * dV, adds into those of the others and into the weights' gradients, returns the gradient of its embedding.
 */
function backwardColumn(
  model: ReferenceModel,
  columns: readonly (Column | undefined)[],
  earlier: readonly number[],
  dHidden: Float64Array,
  dK: readonly Float64Array[][],
  dV: readonly Float64Array[][],
  grads: Weights,
): Float64Array {
  const { n_layer, n_head, n_embd: C, layer_norm_epsilon: eps } = model.config;
  const w = (name: string) => model.weights.get('transformer.' + name)!;
  const d = (name: string) => grads.get('transformer.' + name)!;
  const project = (name: string, x: Float64Array, dy: Float64Array) =>
    linearBackward(x, w(name + '.weight'), dy, d(name + '.weight'), d(name + '.bias'));
  const norm = (name: string, x: Float64Array, dy: Float64Array) =>
    layerNormBackward(x, w(name + '.weight'), eps, dy, d(name + '.weight'), d(name + '.bias'));
  const t = earlier.at(-1)!;
  const column = columns[t]!;
  let dx = norm('ln_f', column.x, dHidden);
  for (let layer = n_layer - 1; layer >= 0; layer--) {
    const h = `h.${layer}.`;
    const { x, ln1, q, y, mid, ln2, fc } = column.layers[layer]!;
    // x' = mid + c_proj(gelu(c_fc(ln_2(mid))))
    const dFc = geluBackward(fc, project(h + 'mlp.c_proj', gelu(fc), dx));
    const dMid = plus(dx, norm(h + 'ln_2', mid, project(h + 'mlp.c_fc', ln2, dFc)));
    // mid = x + c_proj(attention(q, k, v)); q, k, v = c_attn(ln_1(x))
    const dY = project(h + 'attn.c_proj', y, dMid);
    const at = <V>(pick: (j: number) => V) => earlier.map(pick);
    const dQ = attentionBackward(
      q,
      at(j => columns[j]!.layers[layer]!.k),
      at(j => columns[j]!.layers[layer]!.v),
      n_head,
      dY,
      at(j => dK[layer]![j]!),
      at(j => dV[layer]![j]!),
    );
    const dQkv = new Float64Array(3 * C);
    [dQ, dK[layer]![t]!, dV[layer]![t]!].forEach((part, i) => {
      dQkv.set(part, i * C);
    });
    dx = plus(dMid, norm(h + 'ln_1', x, project(h + 'attn.c_attn', ln1, dQkv)));
  }
  return dx;
}

/** Loss and gradients of a batch; `trace[b][t].hidden` has the hidden states, `logits(model, hidden)` the logits. */
export function lossAndGrads(
  model: ReferenceModel,
  batch: ReferenceBatch,
  window: number | 'full' = 'full',
): { loss: number; grads: Weights; trace: Trace } {
  const trace = forward(model, batch);
  return { loss: lossOf(model, batch, trace), grads: backward(model, batch, trace, window), trace };
}
