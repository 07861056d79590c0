// The latent recurrence: a row of columns run in passes, each latent column fed with the hidden state before it.
// Knows the model, a batch and the truncation window; knows no optimizer, no tokenizer and no curriculum.
import type { Batch } from '../data/batch.ts';
import { UserError } from '../errors.ts';
import { add } from '../ops/add.ts';
import { crossEntropy } from '../ops/cross-entropy.ts';
import { type EmbeddingAttrs, embedding, embeddingAttrs, freeEmbeddingAttrs } from '../ops/embedding.ts';
import { feedback } from '../ops/feedback.ts';
import { gatherAttrs, gatherRows } from '../ops/gather-rows.ts';
import { NONE } from '../ops/scatter.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import type { Tape } from '../tape.ts';
import { type Tensor, upload } from '../tensor.ts';
import { freeRowState, type Gpt, type RowState, rowState } from './gpt.ts';

/** Truncation window: how many latent columns before the text carry gradients. */
export type Window = number | 'full';

/** Columns [t0, t1) of one pass; `fed`: its first column takes the hidden states before it. */
export interface Pass {
  readonly t0: number;
  readonly t1: number;
  readonly fed: boolean;
  readonly recorded: boolean;
}

/**
 * The passes of a row of T columns with n latents from column L0: [0, L0), then the latent columns one by one,
 * the last of them together with the text. The first n - window latent columns are not recorded.
 */
export function passes(T: number, L0: number, n: number, window: Window): Pass[] {
  if (n === 0) return [{ t0: 0, t1: T, fed: false, recorded: true }];
  const unrecorded = window === 'full' ? 0 : Math.max(0, n - window);
  const question: Pass = { t0: 0, t1: L0, fed: false, recorded: true };
  const latents = Array.from({ length: n }, (_, p): Pass => {
    const last = p === n - 1;
    return { t0: L0 + p, t1: last ? T : L0 + p + 1, fed: true, recorded: p >= unrecorded };
  });
  return [question, ...latents];
}

/** Most latents of any row. Throws UserError where the batch cannot be run with this window. */
export function checkBatch(batch: Batch, window: Window): number {
  const n = batch.latents.reduce((most, count) => Math.max(most, count), 0);
  if (n > 0 && batch.latentStart === 0)
    throw new UserError('a row begins with a latent, which has no hidden state before it to take');
  if (n > 0 && batch.latentStart + n > batch.T) throw new UserError('latents run past the end of the row');
  if (window !== 'full' && batch.latents.some(count => count !== n))
    throw new UserError(
      `--bptt ${window} needs batches whose rows all have the same number of latents; here they have ${Math.min(...batch.latents)} to ${n} (use --bptt full)`,
    );
  return n;
}

export interface Loss {
  /** [1]: scale times the sum of the labelled columns' cross-entropy; the caller frees it. */
  readonly loss: Tensor;
  /** Frees what the forward pass keeps for the backward pass; call it after that. */
  release(): void;
}

export interface LossOptions {
  readonly window: Window;
  /** What the sum over labels is multiplied by; by default 1 / labels, their mean. */
  readonly scale?: number;
}

/**
 * Forward pass of a batch and its loss, recorded on `tape`: mean cross-entropy over the labelled columns, each
 * predicted at the column before it. Throws UserError on a batch that the model or the window does not fit.
 */
export function latentLoss(tape: Tape, model: Gpt, batch: Batch, options: LossOptions): Loss {
  const { B, T } = batch;
  const n = checkBatch(batch, options.window);
  const plan = passes(T, batch.latentStart, n, options.window);
  const labelled = labelledRows(batch);
  if (labelled.length === 0) throw new UserError('the batch has no labels, so there is no loss');
  const scale = options.scale ?? 1 / labelled.length;

  const owned: Tensor[] = [];
  const own = (tensor: Tensor): Tensor => {
    owned.push(tensor);
    return tensor;
  };
  const attrs = tokenAttrs(model, batch);
  const state = rowState(model.config, own(upload(tape.gpu, batch.first, [B])), T);
  const wte = model.parameter('wte.weight');
  const wpe = model.parameter('wpe.weight');
  const embedded = tape.apply(embedding, { wte, wpe }, attrs);

  let hidden: Tensor | undefined; // last hidden states [B, C] of the column before the pass
  let loss: Tensor | undefined;
  for (const [i, pass] of plan.entries()) {
    const { t0, t1 } = pass;
    const here = labelled.filter(({ row }) => row >= t0 * B && row < t1 * B);
    const feeds = plan[i + 1]?.fed ?? false;
    const from = Math.min(feeds ? t1 - 1 : t1, ...here.map(({ row }) => Math.floor(row / B)));
    if (from === t1) continue; // No later column and no label needs this pass.
    const run = (): Tensor => {
      const x = passInput(tape, embedded, hidden, batch, pass, own);
      return model.forward(tape, x, state, t0, from);
    };
    const h = pass.recorded ? run() : tape.noGrad(run);
    if (here.length > 0) {
      const part = passLoss(tape, model, h, here, from * B, scale, own);
      loss = loss ? tape.apply(add, { a: loss, b: part }, undefined) : part;
    }
    hidden = feeds ? lastColumn(tape, h, t1 - from, B) : undefined;
  }
  return {
    loss: loss!,
    release: () => {
      freeEmbeddingAttrs(attrs);
      freeRowState(state);
      for (const tensor of owned) tensor.free();
    },
  };
}

interface Labelled {
  /** Row t*B + b of the hidden state that predicts the label. */
  readonly row: number;
  readonly target: number;
}

/** Labels are unshifted: that of column t is predicted at column t - 1. */
function labelledRows({ B, labels }: Batch): Labelled[] {
  const out: Labelled[] = [];
  for (let i = B; i < labels.length; i++) if (labels[i]! >= 0) out.push({ row: i - B, target: labels[i]! });
  return out;
}

/** Ids and positions of all columns; latent columns have a position but no token. */
function tokenAttrs(model: Gpt, batch: Batch): EmbeddingAttrs {
  const ids = batch.ids.slice();
  for (let b = 0; b < batch.B; b++)
    for (let p = 0; p < batch.latents[b]!; p++) ids[(batch.latentStart + p) * batch.B + b] = NONE;
  const { vocabSize, positions } = model.config;
  return embeddingAttrs(model.parameters.gpu, ids, batch.positions, { vocabulary: vocabSize, columns: positions });
}

/** Input embeddings of a pass: its columns of `embedded`, the first with the hidden states added where rows think. */
function passInput(
  tape: Tape,
  embedded: Tensor,
  hidden: Tensor | undefined,
  batch: Batch,
  { t0, t1, fed }: Pass,
  own: (tensor: Tensor) => Tensor,
): Tensor {
  const { B, T } = batch;
  const x = t1 - t0 === T ? embedded : tape.apply(sliceRows, { x: embedded }, { from: t0 * B, to: t1 * B });
  if (!fed) return x;
  const p = t0 - batch.latentStart;
  const mask = own(upload(tape.gpu, batch.latents.map(count => (p < count ? 1 : 0)), [B]));
  return tape.apply(feedback, { embedded: x, hidden: hidden! }, { mask });
}

/** The last of the columns whose hidden states h [columns·B, C] holds. */
function lastColumn(tape: Tape, h: Tensor, columns: number, B: number): Tensor {
  if (columns === 1) return h;
  return tape.apply(sliceRows, { x: h }, { from: (columns - 1) * B, to: columns * B });
}

/** Cross-entropy of the labels predicted in one pass, whose hidden states begin at row `first`. */
function passLoss(
  tape: Tape,
  model: Gpt,
  h: Tensor,
  labelled: readonly Labelled[],
  first: number,
  scale: number,
  own: (tensor: Tensor) => Tensor,
): Tensor {
  const { gpu } = tape;
  // Logits of a large vocabulary are taken in parts that one binding holds.
  const most = Math.max(1, Math.floor(gpu.limits.maxBinding / (4 * model.config.vocabSize)));
  let loss: Tensor | undefined;
  for (let at = 0; at < labelled.length; at += most) {
    const part = labelled.slice(at, at + most);
    const picked = gatherAttrs(gpu, Uint32Array.from(part, ({ row }) => row - first), h.shape[0]!);
    own(picked.index);
    own(picked.inverse);
    const logits = model.logits(tape, tape.apply(gatherRows, { x: h }, picked));
    const targets = own(upload(gpu, Uint32Array.from(part, ({ target }) => target), [part.length]));
    const partLoss = tape.apply(crossEntropy, { logits }, { targets, scale });
    loss = loss ? tape.apply(add, { a: loss, b: partLoss }, undefined) : partLoss;
  }
  return loss!;
}

export type { RowState };
