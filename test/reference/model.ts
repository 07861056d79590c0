// The whole model in float64: GPT-2 with the latent recurrence and the truncation window, forward and backward
// by hand. It is the specification of src/model and stays naive: one column of one row at a time, in the order of
// visits.ts, then in reverse. It knows nothing of passes, batches of columns or devices, which is the point: passes are
// how the engine schedules this, and must not change a number.
//
// Why that order suffices for the backward: a visit of a column influences only visits after it, through its K and V in
// every layer and, where a latent takes it, through its hidden state. So when the backward reaches a visit from the end,
// its dK, dV and dHidden are complete.
import { type FeedbackForm, feedback, feedbackBackward } from './feedback.ts';
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
import { type Visit, visitsOf } from './visits.ts';

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
  /** What a latent takes of the hidden state before it; `hidden` by default. */
  readonly feedback?: FeedbackForm;
  /** What is fed back is multiplied by it; 1 by default. */
  readonly feedback_scale?: number;
  /** Parallel iterations over the latents; undefined: one latent after another. */
  readonly iterations?: number | undefined;
  /** See VisitOptions. */
  readonly complete?: boolean;
  /** Tokens that the step head reads; 0 (the default): there is none. */
  readonly step_tokens?: number;
}

/** Arrays [B][T] as in a parity batch file: labels unshifted with -100 for none, mask 0 at pads on either side. */
export interface ReferenceBatch {
  readonly input_ids: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
  readonly position_ids: readonly (readonly number[])[];
  /** [B][latents]: tokens of the step that a latent stands for. */
  readonly steps?: readonly (readonly (readonly number[])[])[];
}

/** Weights or gradients by Hugging Face name (`transformer.wte.weight`, …), row-major, [in, out] for matrices. */
export type Weights = Map<string, Float64Array>;

export interface ReferenceModel {
  readonly config: ReferenceConfig;
  readonly weights: Weights;
  /** Dropout; by default there is none. */
  readonly dropout?: Dropping;
}

/** What a value is multiplied by at a place of the model, 0 or 1 / (1 - rate). Positions count from a row's first column. */
export interface Dropping {
  channel(site: number, b: number, position: number, c: number): number;
  weight(site: number, b: number, query: number, key: number, h: number): number;
}

/** Where a column stands: its batch row, and the positions of the row's columns. */
interface Where {
  readonly b: number;
  readonly positions: readonly number[];
}

/** Channels of column t after dropout; of a gradient, before it. Sites: 0 the embedding, then three a layer. */
function dropped(
  { dropout }: ReferenceModel,
  site: number,
  { b, positions }: Where,
  t: number,
  x: Float64Array,
) {
  return dropout ? x.map((value, c) => value * dropout.channel(site, b, positions[t]!, c)) : x;
}

/** The same for the weights that the query of column t gives to columns `seen`. */
function keeping(
  { dropout }: ReferenceModel,
  site: number,
  { b, positions }: Where,
  seen: readonly number[],
) {
  const query = positions[seen.at(-1)!]!;
  return (j: number, h: number): number => dropout?.weight(site, b, query, positions[seen[j]!]!, h) ?? 1;
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

/** A visit of a real column: what it took, its blocks, and its state after them and after ln_f. */
interface Column extends Visit {
  /** What was fed to it [C]; undefined where it took a token's embedding. */
  readonly fed: Float64Array | undefined;
  readonly layers: readonly LayerTrace[];
  readonly x: Float64Array;
  readonly hidden: Float64Array;
}

/** Every row's visits in their order. Pads have none: no real column can see them. */
export type Trace = readonly (readonly Column[])[];

/** The last visit of column t, which is what labels and later columns see of it. */
export function settled(columns: readonly Column[], t: number): Column {
  return columns.findLast(column => column.t === t)!;
}

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
  if (config.feedback === 'mlp') addLinear('bridge.c_fc', C, C);
  if (config.feedback === 'linear' || config.feedback === 'mlp') {
    addLinear('bridge.c_proj', C, C);
    addNorm('bridge.ln');
  }
  for (let j = 0; j < (config.step_tokens ?? 0); j++) {
    shapes.set(`step_head.${j}.weight`, [C, C]);
    shapes.set(`step_head.${j}.bias`, [C]);
  }
  if (config.tie_word_embeddings === false) shapes.set('lm_head.weight', [V, C]);
  return shapes;
}

const isLatent = (model: ReferenceModel, batch: ReferenceBatch, b: number, t: number) =>
  batch.input_ids[b]![t] === model.config.latent_token_id;

/** Row `index` of a matrix with `width` columns, as a view. */
const row = (matrix: Float64Array, index: number, width: number) =>
  matrix.subarray(index * width, (index + 1) * width);

/**
 * The visits of each row. With window k the last k latents, or iterations, carry gradients; a finite window needs equal
 * counts, as in the engine.
 */
function visits(model: ReferenceModel, batch: ReferenceBatch, window: number | 'full'): Visit[][] {
  const { iterations, complete } = model.config;
  const counts = batch.input_ids.map((ids, b) => ids.filter((_, t) => isLatent(model, batch, b, t)).length);
  if (window !== 'full' && new Set(counts).size > 1) {
    throw new Error('a finite window needs the same number of latents in every row');
  }
  return batch.attention_mask.map((mask, b) => {
    const columns = mask.flatMap((real, t) => (real ? [t] : []));
    return visitsOf(columns, t => isLatent(model, batch, b, t), { iterations, window, complete });
  });
}

function forwardColumn(
  model: ReferenceModel,
  visit: Visit,
  fed: Float64Array | undefined,
  embedding: Float64Array,
  earlier: readonly Column[],
  where: Where,
): Column {
  const { n_layer, n_head, n_embd: C, layer_norm_epsilon: eps } = model.config;
  const w = (name: string) => model.weights.get('transformer.' + name)!;
  const project = (name: string, x: Float64Array) => linear(x, w(name + '.weight'), w(name + '.bias'));
  const norm = (name: string, x: Float64Array) => layerNorm(x, w(name + '.weight'), w(name + '.bias'), eps);
  const layers: LayerTrace[] = [];
  let x = dropped(model, 0, where, visit.t, embedding);
  const seen = [...earlier.map(({ t }) => t), visit.t];
  for (let layer = 0; layer < n_layer; layer++) {
    const h = `h.${layer}.`;
    const ln1 = norm(h + 'ln_1', x);
    const qkv = project(h + 'attn.c_attn', ln1);
    const [q, k, v] = [0, 1, 2].map(part => row(qkv, part, C)) as [Float64Array, Float64Array, Float64Array];
    const keys = [...earlier.map(column => column.layers[layer]!.k), k];
    const values = [...earlier.map(column => column.layers[layer]!.v), v];
    const site = 3 * layer;
    const y = attention(q, keys, values, n_head, keeping(model, site + 1, where, seen));
    const mid = plus(x, dropped(model, site + 2, where, visit.t, project(h + 'attn.c_proj', y)));
    const ln2 = norm(h + 'ln_2', mid);
    const fc = project(h + 'mlp.c_fc', ln2);
    layers.push({ x, ln1, q, k, v, y, mid, ln2, fc });
    x = plus(mid, dropped(model, site + 3, where, visit.t, project(h + 'mlp.c_proj', gelu(fc))));
  }
  return { ...visit, fed, layers, x, hidden: norm('ln_f', x) };
}

/** What visit `from` feeds back is part of what is differentiated, unless it and the visit that takes it are constant. */
function constantFed(columns: readonly Visit[], { from, constant }: Visit): boolean {
  return constant && columns[from!]!.constant;
}

/**
 * Every visit of every row. A latent's input embedding is what the hidden state (after ln_f) of the column before it
 * feeds back; its position embedding is added like any other's.
 *
 * `constants` takes what `window` makes constant from an earlier trace instead of computing it: what a finite-difference
 * check of a truncated gradient must hold still.
 */
export function forward(
  model: ReferenceModel,
  batch: ReferenceBatch,
  constants?: { trace: Trace; window: number | 'full' },
): Trace {
  const { n_embd: C, feedback: form = 'hidden', feedback_scale = 1, layer_norm_epsilon: eps } = model.config;
  const w = (name: string) => model.weights.get('transformer.' + name)!;
  return visits(model, batch, constants?.window ?? 'full').map((row_, b) => {
    const columns: Column[] = [];
    row_.forEach((visit, i) => {
      const { t, from, sees, constant } = visit;
      const known = constant ? constants!.trace[b]![i]! : undefined;
      const fed =
        from === undefined
          ? undefined
          : known && constantFed(row_, visit)
            ? known.fed
            : feedback(form, columns[from]!.hidden, { w, head: headOf(model.weights) }, eps).map(
                x => feedback_scale * x,
              );
      if (known) {
        columns.push({ ...known, fed });
        return;
      }
      const input = fed ?? row(w('wte.weight'), batch.input_ids[b]![t]!, C);
      const embedding = plus(input, row(w('wpe.weight'), batch.position_ids[b]![t]!, C));
      const earlier = sees.slice(0, -1).map(j => columns[j]!);
      const where = { b, positions: batch.position_ids[b]! };
      columns.push(forwardColumn(model, visit, fed, embedding, earlier, where));
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

/**
 * Of a row: each latent's last visit, and the tokens of its step. A latent that was never fed, since there was only one
 * iteration, holds no thought to read.
 */
function supervised(batch: ReferenceBatch, b: number, columns: readonly Column[]) {
  const latents = columns.filter(column => column.fed && column === settled(columns, column.t));
  return latents.flatMap((column, p) =>
    (batch.steps?.[b]?.[p] ?? []).map((token, j) => ({ column, token, j })),
  );
}

function stepTokenCount(batch: ReferenceBatch, trace: Trace): number {
  return trace.flatMap((columns, b) => supervised(batch, b, columns)).length;
}

/** What the step head reads at position j: a linear map of the thought. */
function stepState(model: ReferenceModel, j: number, fed: Float64Array): Float64Array {
  return linear(fed, model.weights.get(`step_head.${j}.weight`)!, model.weights.get(`step_head.${j}.bias`)!);
}

/** Mean cross-entropy over all labels of the batch, and `stepWeight` times the mean over all tokens of steps. */
export function lossOf(model: ReferenceModel, batch: ReferenceBatch, trace: Trace, stepWeight = 0): number {
  let total = 0;
  let steps = 0;
  trace.forEach((columns, b) => {
    columns.forEach(column => {
      const label = labelAt(batch, b, column.t);
      if (column === settled(columns, column.t) && label !== undefined)
        total -= Math.log(softmax(logits(model, column.hidden))[label]!);
    });
    if (stepWeight > 0)
      for (const { column, token, j } of supervised(batch, b, columns))
        steps -= Math.log(softmax(logits(model, stepState(model, j, column.fed!)))[token]!);
  });
  return total / labelCount(batch) + (steps > 0 ? (stepWeight * steps) / stepTokenCount(batch, trace) : 0);
}

/** Gradients of the loss for every parameter, through the recorded columns of `window`. */
export function backward(
  model: ReferenceModel,
  batch: ReferenceBatch,
  trace: Trace,
  window: number | 'full',
  stepWeight = 0,
): Weights {
  const { n_embd: C, n_layer, feedback: form = 'hidden', layer_norm_epsilon: eps } = model.config;
  const { feedback_scale = 1 } = model.config;
  const grads: Weights = new Map();
  for (const [name, weight] of model.weights) grads.set(name, new Float64Array(weight.length));
  const w = (name: string) => model.weights.get('transformer.' + name)!;
  const d = (name: string) => grads.get('transformer.' + name)!;
  const head = headOf(model.weights);
  const dHead = headOf(grads);
  const [values, gradients] = [
    { w, head },
    { w: d, head: dHead },
  ];
  const plan = visits(model, batch, window);

  /** -scale log softmax(state·headᵀ)[target]: adds into dHead and dState. The head itself is always recorded. */
  const headBackward = (state: Float64Array, target: number, scale: number, dState: Float64Array) => {
    const dLogits = softmax(logits(model, state)).map((p, v) => scale * (p - (v === target ? 1 : 0)));
    dLogits.forEach((dLogit, v) => {
      for (let i = 0; i < C; i++) {
        dHead[v * C + i]! += dLogit * state[i]!;
        dState[i]! += dLogit * head[v * C + i]!;
      }
    });
  };

  const steps = stepTokenCount(batch, trace);
  trace.forEach((columns, b) => {
    const zeros = () => columns.map(() => new Float64Array(C));
    const dK = Array.from({ length: n_layer }, zeros);
    const dV = Array.from({ length: n_layer }, zeros);
    const dHidden = zeros();
    const dFed = zeros();
    if (stepWeight > 0)
      for (const { column, token, j } of supervised(batch, b, columns)) {
        const name = `step_head.${j}`;
        const dState = new Float64Array(C);
        headBackward(stepState(model, j, column.fed!), token, stepWeight / steps, dState);
        const [weight, dWeight, dBias] = [model.weights, grads, grads].map((map, i) =>
          map.get(`${name}.${i < 2 ? 'weight' : 'bias'}`),
        ) as [Float64Array, Float64Array, Float64Array];
        addTo(dFed[columns.indexOf(column)]!, linearBackward(column.fed!, weight, dState, dWeight, dBias));
      }
    for (let i = columns.length - 1; i >= 0; i--) {
      const column = columns[i]!;
      const visit = plan[b]![i]!;
      const { t, from, sees } = visit;
      const label = labelAt(batch, b, t);
      if (label !== undefined && column === settled(columns, t))
        headBackward(column.hidden, label, 1 / labelCount(batch), dHidden[i]!);
      if (!visit.constant) {
        const where = { b, positions: batch.position_ids[b]! };
        const dEmbedding = backwardColumn(model, columns, sees, dHidden[i]!, dK, dV, grads, where);
        // embedding = (fed or wte[id]) + wpe[position]
        addTo(from === undefined ? row(d('wte.weight'), batch.input_ids[b]![t]!, C) : dFed[i]!, dEmbedding);
        addTo(row(d('wpe.weight'), batch.position_ids[b]![t]!, C), dEmbedding);
      }
      if (from === undefined || constantFed(plan[b]!, visit)) continue;
      // fed = scale · feedback(hidden of `from`)
      const dz = dFed[i]!.map(x => feedback_scale * x);
      addTo(dHidden[from]!, feedbackBackward(form, columns[from]!.hidden, values, eps, dz, gradients));
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
  columns: readonly Column[],
  earlier: readonly number[],
  dHidden: Float64Array,
  dK: readonly Float64Array[][],
  dV: readonly Float64Array[][],
  grads: Weights,
  where: Where,
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
    const site = 3 * layer;
    // x' = mid + dropped(c_proj(gelu(c_fc(ln_2(mid)))))
    const dMlp = dropped(model, site + 3, where, column.t, dx);
    const dFc = geluBackward(fc, project(h + 'mlp.c_proj', gelu(fc), dMlp));
    const dMid = plus(dx, norm(h + 'ln_2', mid, project(h + 'mlp.c_fc', ln2, dFc)));
    // mid = x + dropped(c_proj(attention(q, k, v))); q, k, v = c_attn(ln_1(x))
    const dY = project(h + 'attn.c_proj', y, dropped(model, site + 2, where, column.t, dMid));
    const at = <V>(pick: (j: number) => V) => earlier.map(pick);
    const dQ = attentionBackward(
      q,
      at(j => columns[j]!.layers[layer]!.k),
      at(j => columns[j]!.layers[layer]!.v),
      n_head,
      dY,
      at(j => dK[layer]![j]!),
      at(j => dV[layer]![j]!),
      keeping(
        model,
        site + 1,
        where,
        at(j => columns[j]!.t),
      ),
    );
    const dQkv = new Float64Array(3 * C);
    [dQ, dK[layer]![t]!, dV[layer]![t]!].forEach((part, i) => {
      dQkv.set(part, i * C);
    });
    dx = plus(dMid, norm(h + 'ln_1', x, project(h + 'attn.c_attn', ln1, dQkv)));
  }
  return dropped(model, 0, where, column.t, dx);
}

/** Loss and gradients of a batch; `settled(trace[b], t).hidden` has the hidden states, `logits(model, hidden)` the logits. */
export function lossAndGrads(
  model: ReferenceModel,
  batch: ReferenceBatch,
  window: number | 'full' = 'full',
  stepWeight = 0,
): { loss: number; grads: Weights; trace: Trace } {
  const trace = forward(model, batch);
  return {
    loss: lossOf(model, batch, trace, stepWeight),
    grads: backward(model, batch, trace, window, stepWeight),
    trace,
  };
}
