// From the engine's own forms (config, float32 weights, time-major batch) to the reference's, so that a test can
// run both on one random model. Knows shapes only; runs nothing.
import type { ModelConfig } from '../../src/model/config.ts';
import { PUBLISHED } from '../../src/model/recurrence.ts';
import type { ReferenceBatch, ReferenceConfig, Weights } from './model.ts';

/** The fields of the engine's batch that the loss depends on; index t*B + b, see src/data/batch.ts. */
export interface TimeMajorBatch {
  readonly B: number;
  readonly T: number;
  readonly ids: Uint32Array;
  readonly positions: Uint32Array;
  readonly labels: Int32Array;
  readonly first: Uint32Array;
  readonly latentStart: number;
  readonly latents: Uint32Array;
}

export function referenceConfig(config: ModelConfig): ReferenceConfig {
  if (config.latentTokenId === undefined) throw new Error('the reference needs a latent token id');
  const { feedback, schedule, scale } = config.recurrence ?? PUBLISHED;
  return {
    n_layer: config.layers,
    n_head: config.heads,
    n_embd: config.width,
    n_inner: config.inner,
    vocab_size: config.vocabSize,
    n_positions: config.positions,
    layer_norm_epsilon: config.layerNormEpsilon,
    latent_token_id: config.latentTokenId,
    tie_word_embeddings: !config.ownHead,
    feedback,
    ...(scale !== undefined && { feedback_scale: scale }),
    iterations: schedule === 'sequential' ? undefined : Number(schedule.replace('jacobi:', '')),
  };
}

export function referenceWeights(weights: ReadonlyMap<string, Float32Array>): Weights {
  return new Map([...weights].map(([name, values]) => [name, Float64Array.from(values)]));
}

/**
 * The same batch as [B][T] lists. Columns right of a row's last label and last latent count as pads: nothing
 * reads them, and the engine's batch does not mark where a row's right padding starts.
 */
export function referenceBatch(batch: TimeMajorBatch): ReferenceBatch {
  const { B, T } = batch;
  const rows = (value: (b: number, t: number) => number) =>
    Array.from({ length: B }, (_, b) => Array.from({ length: T }, (_, t) => value(b, t)));
  const labels = rows((b, t) => batch.labels[t * B + b]!);
  const last = labels.map((row, b) =>
    Math.max(
      batch.latents[b]! > 0 ? batch.latentStart + batch.latents[b]! - 1 : 0,
      row.findLastIndex(label => label !== -100),
    ),
  );
  return {
    input_ids: rows((b, t) => batch.ids[t * B + b]!),
    labels,
    attention_mask: rows((b, t) => (t >= batch.first[b]! && t <= last[b]! ? 1 : 0)),
    position_ids: rows((b, t) => batch.positions[t * B + b]!),
  };
}
