// What the whole model must give, by the float64 reference of test/reference: the loss before and after an AdamW
// step, and whether generated tokens are the likeliest. Knows the model and the reference; knows no engine.
import {
  forward,
  logits,
  lossAndGrads,
  lossOf,
  type ReferenceBatch,
  type ReferenceModel,
} from '../../test/reference/model.ts';
import { ADAMW, adamwScalars, CONFIG, parameters, T, tokenRows } from './model.ts';

/** No token: the reference's rows have no latents. */
const NO_LATENT = -1;

/** The mean loss of the batch before the first step and before the second. */
export function expectedLosses(B: number): Float64Array {
  const model = referenceModel();
  const batch = batchOf(tokenRows(B, T));
  const { loss, grads } = lossAndGrads(model, batch);
  const { beta1, beta2, eps, lr, weightDecay } = ADAMW;
  const { rate, rootCorrection } = adamwScalars(1);
  for (const { name, decays } of parameters()) {
    const weight = model.weights.get(`transformer.${name}`)!;
    const grad = grads.get(`transformer.${name}`)!;
    for (const [i, g] of grad.entries()) {
      if (decays) weight[i]! *= 1 - lr * weightDecay;
      // The first step's moments: they start at 0.
      const m = (1 - beta1) * g;
      const v = (1 - beta2) * g * g;
      weight[i]! -= (rate * m) / (Math.sqrt(v) * rootCorrection + eps);
    }
  }
  return Float64Array.of(loss, lossOf(model, batch, forward(model, batch)));
}

/**
 * How far from the likeliest any of the generated tokens is, in logits: 0 where each is the likeliest after the
 * tokens before it. `tokens` [B, count] follow the model's prompt of `prompt` columns.
 */
export function greedyError(tokens: ArrayLike<number>, B: number, prompt: number): number {
  const count = tokens.length / B;
  const model = referenceModel();
  const rows = tokenRows(B, prompt).map((row, b) => [
    ...row,
    ...Array.from({ length: count }, (_, i) => tokens[b * count + i]!),
  ]);
  const trace = forward(model, batchOf(rows));
  let worst = 0;
  for (const [b, row] of rows.entries())
    for (let t = prompt; t < row.length; t++) {
      const scores = logits(model, trace[b]![t - 1]!.hidden);
      const chosen = scores[row[t]!];
      worst = chosen === undefined ? Infinity : Math.max(worst, Math.max(...scores) - chosen);
    }
  return worst;
}

function referenceModel(): ReferenceModel {
  const { layers, heads, width, inner, vocabSize, positions, layerNormEpsilon } = CONFIG;
  return {
    config: {
      n_layer: layers,
      n_head: heads,
      n_embd: width,
      n_inner: inner,
      vocab_size: vocabSize,
      n_positions: positions,
      layer_norm_epsilon: layerNormEpsilon,
      latent_token_id: NO_LATENT,
    },
    weights: new Map(parameters().map(({ name, data }) => [`transformer.${name}`, Float64Array.from(data)])),
  };
}

function batchOf(rows: readonly (readonly number[])[]): ReferenceBatch {
  return {
    input_ids: rows,
    labels: rows,
    attention_mask: rows.map(row => row.map(() => 1)),
    position_ids: rows.map(row => row.map((_, t) => t)),
  };
}
