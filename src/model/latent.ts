// The latent recurrence: a row of columns run in passes, each latent column fed with the hidden state before it.
// Knows the model, a batch and the truncation window; knows no optimizer, no tokenizer and no curriculum.
import type { Batch } from '../data/batch.ts';
import { UserError } from '../errors.ts';
import { add } from '../ops/add.ts';
import { crossEntropy } from '../ops/cross-entropy.ts';
import {
  type EmbeddingAttrs,
  type EmbeddingPlans,
  embedding,
  embeddingAttrs,
  embeddingPlans,
  freeEmbeddingAttrs,
  freeEmbeddingPlans,
} from '../ops/embedding.ts';
import { gatherAttrs, gatherRows } from '../ops/gather-rows.ts';
import { NONE } from '../ops/scatter.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import type { Tape } from '../tape.ts';
import { type Tensor, upload } from '../tensor.ts';
import { freeRowState, type Gpt, type RowState, rowState } from './gpt.ts';
import { type LatePass, LateRow } from './late-row.ts';

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
  // A window that spans all latents is a full one, whatever each row has.
  if (window !== 'full' && n > window && batch.latents.some(count => count !== n))
    throw new UserError(
      `--bptt ${window} needs batches whose rows all have the same number of latents; here they have ${Math.min(...batch.latents)} to ${n} (use --bptt full)`,
    );
  return n;
}

export interface Loss {
  /** [1]: scale times the sum of the labelled columns' cross-entropy; the caller frees it. */
  readonly loss: Tensor;
  /** Frees what the forward pass keeps for the backward. */
  release(): void;
}

export interface LossOptions {
  readonly window: Window;
  /** What the sum over labels is multiplied by; by default 1 / labels, their mean. */
  readonly scale?: number;
}

/** A pass that is run. */
interface Run {
  readonly pass: Pass;
  /** What a profile calls it. */
  readonly name: string;
  /** First column whose hidden state is read. */
  readonly from: number;
  /** Labels read hidden states of it. */
  readonly labelled: boolean;
  /** Its last hidden state goes into the next pass. */
  readonly feeds: boolean;
}

/** A batch on the device, and the state of its row while its passes run. */
export class LatentRow {
  readonly batch: Batch;
  readonly state: RowState;
  readonly #model: Gpt;
  readonly #tape: Tape;
  readonly #ids: Uint32Array;
  readonly #attrs: EmbeddingAttrs;
  readonly #owned: Tensor[] = [];
  #plans: EmbeddingPlans | undefined;
  #late: LateRow | undefined;

  /** `columns`: room in the K/V stores, the batch's own by default. Throws UserError on an id out of range. */
  constructor(tape: Tape, model: Gpt, batch: Batch, columns = batch.T) {
    this.batch = batch;
    this.#tape = tape;
    this.#model = model;
    this.#ids = inputIds(batch);
    this.#attrs = embeddingAttrs(tape.gpu, this.#ids, batch.positions, tablesOf(model));
    this.state = rowState(model.config, this.own(upload(tape.gpu, batch.first, [batch.B])), columns);
  }

  /** Keeps a tensor until `release`. */
  own(tensor: Tensor): Tensor {
    this.#owned.push(tensor);
    return tensor;
  }

  /** Frees everything that the row keeps. Call it after the backward. */
  release(): void {
    this.#late?.end();
    if (this.#plans) freeEmbeddingPlans(this.#plans);
    freeEmbeddingAttrs(this.#attrs);
    freeRowState(this.state);
    for (const tensor of this.#owned) tensor.free();
  }

  /**
   * Runs the passes in order. `firstNeeded(pass)` is the first column of a pass whose hidden states are wanted (t1
   * where none is); `visit` gets the hidden states [(t1-from)·B, C] of its columns from `from` on. `feed` may put
   * something else [B, C], or nothing, in the place of what a pass feeds back: `fed`, made of the hidden state
   * `thought`, for latent number `index`.
   */
  run(
    plan: readonly Pass[],
    firstNeeded: (pass: Pass) => number,
    visit: (hidden: Tensor, pass: Pass, from: number) => void,
    feed: (fed: Tensor, thought: Tensor, index: number) => Tensor | undefined = fed => fed,
  ): void {
    const tape = this.#tape;
    const { B } = this.batch;
    const runs = plan.flatMap((pass, i): Run[] => {
      const feeds = plan[i + 1]?.fed ?? false;
      const needed = firstNeeded(pass);
      const from = Math.min(feeds ? pass.t1 - 1 : pass.t1, needed);
      // No later column and no label needs a pass of which nothing is read.
      return from < pass.t1
        ? [{ pass, name: passName(plan, i), from, feeds, labelled: needed < pass.t1 }]
        : [];
    });
    const recorded = runs.filter(({ pass }) => pass.recorded);
    this.#prepare(recorded);
    let fedBack: Tensor | undefined; // hidden states [B, C] of the column before the pass
    for (const run of runs) {
      const { pass, from } = run;
      const { t0, t1 } = pass;
      const late = pass.recorded ? this.#late?.pass(recorded.indexOf(run)) : undefined;
      const forward = (): Tensor =>
        this.#model.forward(tape, this.#input(fedBack, pass, late), this.state, t0, from, late);
      tape.gpu.scope(run.name, () => {
        const hidden = pass.recorded ? forward() : tape.noGrad(forward);
        visit(hidden, pass, from);
        if (!run.feeds) return;
        const last = t1 - from === 1 ? hidden : slice(tape, hidden, (t1 - from - 1) * B, (t1 - from) * B);
        fedBack = feed(last, last, t1 - this.batch.latentStart);
      });
    }
  }

  /** What the backward of the recorded passes will need. */
  #prepare(recorded: readonly Run[]): void {
    if (recorded.length === 0) return;
    const { gpu } = this.#tape;
    const { B, positions } = this.batch;
    const rowsOf = (all: Uint32Array): Uint32Array => {
      const parts = recorded.map(({ pass }) => all.subarray(pass.t0 * B, pass.t1 * B));
      const rows = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        rows.set(part, at);
        at += part.length;
      }
      return rows;
    };
    this.#plans = embeddingPlans(gpu, rowsOf(this.#ids), rowsOf(positions), tablesOf(this.#model));
    if (recorded.length === 1) return;
    const columns = recorded.map(({ pass: { t0, t1 }, from, labelled }) => {
      // Gradient comes back from labels and through the pass that is fed.
      const learns = labelled || recorded.some(next => next.pass.t0 === t1);
      return { all: t1 - t0, read: learns ? t1 - from : 0 };
    });
    this.#late = new LateRow(gpu, this.#model.config, B, columns, this.#plans);
  }

  /** Input embeddings of a pass, the first column with hidden states added where rows think. */
  #input(fedBack: Tensor | undefined, { t0, t1, fed, recorded }: Pass, late: LatePass | undefined): Tensor {
    const tape = this.#tape;
    const { B, latentStart, latents } = this.batch;
    const wte = this.#model.parameter('wte.weight');
    const wpe = this.#model.parameter('wpe.weight');
    const { ids, positions } = this.#attrs;
    const kept = late?.embedding;
    const plans = recorded && !kept ? this.#plans : undefined;
    const attrs = { ids, positions, rows: [t0 * B, t1 * B] as const, plans, late: kept };
    const place = kept?.store.dy.place(kept.at, (t1 - t0) * B);
    if (!fed || !fedBack) return tape.apply(embedding, { wte, wpe }, attrs, place);
    const thinks = latents.map(count => (t0 - latentStart < count ? 1 : 0));
    const mask = thinks.includes(0) ? this.own(upload(tape.gpu, thinks, [B])) : undefined;
    return tape.apply(embedding, { wte, wpe, hidden: fedBack }, { ...attrs, mask }, place);
  }
}

function tablesOf(model: Gpt): { vocabulary: number; columns: number } {
  return { vocabulary: model.config.vocabSize, columns: model.config.positions };
}

/** What a profile calls pass `i` of a plan. */
function passName(plan: readonly Pass[], i: number): string {
  if (plan.length === 1) return 'whole row';
  if (i === 0) return 'question';
  return i < plan.length - 1 ? `latent ${i}` : `latent ${i} and text`;
}

function slice(tape: Tape, x: Tensor, from: number, to: number): Tensor {
  return tape.apply(sliceRows, { x }, { from, to });
}

/** Ids with NONE in latent columns, which have a position but no token. */
function inputIds(batch: Batch): Uint32Array {
  const ids = batch.ids.slice();
  for (const [b, count] of batch.latents.entries())
    for (let p = 0; p < count; p++) ids[(batch.latentStart + p) * batch.B + b] = NONE;
  return ids;
}

/**
 * Forward pass of a batch and its loss, recorded on `tape`: mean cross-entropy over the labelled columns, each
 * predicted at the column before it. Throws UserError on a batch that the model or the window does not fit.
 */
export function latentLoss(tape: Tape, model: Gpt, batch: Batch, options: LossOptions): Loss {
  const { B, T } = batch;
  const n = checkBatch(batch, options.window);
  const labelled = labelledRows(batch, model.config.vocabSize);
  if (labelled.length === 0) throw new UserError('the batch has no labels, so there is no loss');
  const scale = options.scale ?? 1 / labelled.length;
  const row = new LatentRow(tape, model, batch);
  const labelsOf = ({ t0, t1 }: Pass): Labelled[] =>
    labelled.filter(label => label.row >= t0 * B && label.row < t1 * B);
  let loss: Tensor | undefined;
  row.run(
    passes(T, batch.latentStart, n, options.window),
    pass => Math.min(pass.t1, ...labelsOf(pass).map(label => Math.floor(label.row / B))),
    (hidden, pass, from) => {
      const here = labelsOf(pass);
      if (here.length === 0) return;
      tape.gpu.scope('head and loss', () => {
        const part = passLoss(tape, model, hidden, here, from * B, scale, row);
        loss = loss ? tape.apply(add, { a: loss, b: part }, undefined) : part;
      });
    },
  );
  return { loss: loss!, release: () => row.release() };
}

interface Labelled {
  /** Row t*B + b of the hidden state that predicts the label. */
  readonly row: number;
  readonly target: number;
}

/** Labels are unshifted: that of column t is predicted at column t - 1. A label of V or more has no logit. */
function labelledRows({ B, labels }: Batch, V: number): Labelled[] {
  const out: Labelled[] = [];
  for (let i = B; i < labels.length; i++) {
    const target = labels[i]!;
    if (target >= V) throw new UserError(`label ${target} is out of range: the model has ${V} tokens`);
    if (target >= 0) out.push({ row: i - B, target });
  }
  return out;
}

/** Cross-entropy of the labels predicted in one pass, whose hidden states begin at row `first`. */
function passLoss(
  tape: Tape,
  model: Gpt,
  h: Tensor,
  labelled: readonly Labelled[],
  first: number,
  scale: number,
  owner: LatentRow,
): Tensor {
  const { gpu } = tape;
  // Logits of a large vocabulary are taken in parts that one binding holds.
  const most = Math.max(1, Math.floor(gpu.limits.maxBinding / (4 * model.config.vocabSize)));
  let loss: Tensor | undefined;
  for (let at = 0; at < labelled.length; at += most) {
    const part = labelled.slice(at, at + most);
    const picked = gatherAttrs(
      gpu,
      Uint32Array.from(part, ({ row }) => row - first),
      h.shape[0]!,
    );
    owner.own(picked.index);
    owner.own(picked.inverse);
    const logits = model.logits(tape, tape.apply(gatherRows, { x: h }, picked));
    const targets = owner.own(
      upload(
        gpu,
        Uint32Array.from(part, ({ target }) => target),
        [part.length],
      ),
    );
    const partLoss = tape.apply(crossEntropy, { logits }, { targets, scale });
    loss = loss ? tape.apply(add, { a: loss, b: partLoss }, undefined) : partLoss;
  }
  return loss!;
}
