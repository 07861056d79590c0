// The latent recurrence: a row of columns run in passes, each latent column fed with the hidden state before it.
// Knows the model, a batch and the truncation window; knows no optimizer, no tokenizer and no curriculum.
import type { Batch } from '../data/batch.ts';
import { UserError } from '../errors.ts';
import { copyRange, fill } from '../flat.ts';
import { add } from '../ops/add.ts';
import { concatRows, inOrder } from '../ops/concat-rows.ts';
import {
  type EmbeddingAttrs,
  type EmbeddingPlans,
  embedding,
  embeddingAttrs,
  embeddingPlans,
  freeEmbeddingAttrs,
  freeEmbeddingPlans,
} from '../ops/embedding.ts';
import { type MaskedRows, maskKeys } from '../ops/masks.ts';
import { NONE } from '../ops/scatter.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import type { Tape } from '../tape.ts';
import { empty, type Tensor, upload } from '../tensor.ts';
import { fedBack } from './feedback.ts';
import { freeRowState, type Gpt, maskSites, type RowState, rowState } from './gpt.ts';
import { headLoss, type Labelled } from './head-loss.ts';
import { type LatePass, LateRow } from './late-row.ts';
import { latentPasses, PUBLISHED, type Schedule } from './recurrence.ts';
import { stepLoss, stepTokenCount } from './step-head.ts';

/** Truncation window: how many passes over latent columns carry gradients, the last with the text among them. */
export type Window = number | 'full';

/** Columns [t0, t1) of one pass. */
export interface Pass {
  readonly t0: number;
  readonly t1: number;
  /** So many columns from t0 on take what the hidden states of the columns before them feed back. */
  readonly fed: number;
  /** Columns from here on are run again by the next pass, from better thoughts; t1 where none is. */
  readonly settled: number;
  readonly recorded: boolean;
}

/**
 * The passes of a row of T columns with n latents from column L0: [0, L0), then those over the latents, the last of them
 * together with the text. The last `window` of these are recorded.
 *
 * One after another, a pass has one latent. With `jacobi:I` there are I passes, each from the hidden states of the one
 * before. Iteration i (from 1) need not run the latents before the i-th again, whose inputs have come to what they stay;
 * nor, I - i before the end, the last I - i, which reach nothing in so few iterations. What is left is a window of
 * n - I + 1 latents that moves on by one a pass. With I = n it is one latent wide: the sequential form is a special case.
 * In the first iteration only the first latent has a hidden state to take; the others have their own token's embedding,
 * which is trained to be a start.
 */
export function passes(
  T: number,
  L0: number,
  n: number,
  window: Window,
  schedule: Schedule = PUBLISHED.schedule,
): Pass[] {
  if (n === 0) return [{ t0: 0, t1: T, fed: 0, settled: T, recorded: true }];
  const count = latentPasses(schedule, n);
  const wide = n - count + 1;
  const question: Pass = { t0: 0, t1: L0, fed: 0, settled: L0, recorded: true };
  const latents = Array.from({ length: count }, (_, i): Pass => {
    const t0 = L0 + i;
    const last = i === count - 1;
    return {
      t0,
      t1: last ? T : t0 + wide,
      fed: i === 0 ? 1 : wide,
      settled: last ? T : t0 + 1,
      recorded: window === 'full' || i >= count - window,
    };
  });
  return [question, ...latents];
}

/**
 * Most latents of any row. Throws UserError where the batch cannot be run with this window: it speaks of the last passes,
 * which hold other columns in rows of fewer latents.
 */
export function checkBatch(batch: Batch, window: Window, schedule: Schedule = PUBLISHED.schedule): number {
  const n = batch.latents.reduce((most, count) => Math.max(most, count), 0);
  if (n > 0 && batch.latentStart === 0)
    throw new UserError('a row begins with a latent, which has no hidden state before it to take');
  if (n > 0 && batch.latentStart + n > batch.T) throw new UserError('latents run past the end of the row');
  // A window that spans all passes is a full one, whatever each row has.
  if (window !== 'full' && latentPasses(schedule, n) > window && batch.latents.some(count => count !== n))
    throw new UserError(
      `--bptt ${window} needs batches whose rows all have the same number of latents; here they have ${Math.min(...batch.latents)} to ${n} (use --bptt full)`,
    );
  return n;
}

export interface Loss {
  /** [1]: scale times the sum of the labelled columns' cross-entropy, and the step head's part; the caller frees it. */
  readonly loss: Tensor;
  /** Frees what the forward pass keeps for the backward. */
  release(): void;
}

export interface LossOptions {
  readonly window: Window;
  /** What the sum over labels is multiplied by; by default 1 / labels, their mean. */
  readonly scale?: number;
  /** What the sum of the step head's cross-entropy is multiplied by; 0, the default: there is no such loss. */
  readonly stepScale?: number;
  /** Blocks of long passes run again in the backward pass instead of being kept. */
  readonly recompute?: boolean | undefined;
  /** Dropout, and what names the batch's rows to it; by default there is none. */
  readonly dropout?: Dropout | undefined;
}

/** Rate of the dropout, above 0 and below 1, and the numbers that its masks follow from. */
export interface Dropout extends MaskedRows {
  readonly rate: number;
}

export interface RowOptions {
  /** Room in the K/V stores; the batch's columns by default. */
  readonly columns?: number;
  /**
   * Recorded passes of several columns, the question and the text, keep only the inputs of their blocks, which run again
   * in the backward pass. Passes of a single latent are small and many, and are kept; so are parallel iterations, which
   * later ones write over.
   */
  readonly recompute?: boolean | undefined;
  readonly dropout?: Dropout | undefined;
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
  /** The pass that its last hidden states go into. */
  readonly next: Pass | undefined;
  /** Its blocks run again in the backward pass. */
  readonly recompute: boolean;
}

/** What may be put in the place of what is fed back; undefined for nothing. All tensors [B, C]. */
export type Feed = (fed: Tensor, thought: Tensor, index: number) => Tensor | undefined;

/** A batch on the device, and the state of its row while its passes run. */
export class LatentRow {
  readonly batch: Batch;
  readonly state: RowState;
  readonly #model: Gpt;
  readonly #tape: Tape;
  readonly #ids: Uint32Array;
  readonly #attrs: EmbeddingAttrs;
  /** Those of a pass in which latents have no hidden state to take yet. */
  #guesses: { readonly ids: Uint32Array; readonly attrs: EmbeddingAttrs } | undefined;
  readonly #owned: Tensor[] = [];
  #plans: EmbeddingPlans | undefined;
  readonly #recompute: boolean;
  #late: LateRow | undefined;

  /** Throws UserError on an id out of range. */
  constructor(tape: Tape, model: Gpt, batch: Batch, options: RowOptions = {}) {
    const { columns = batch.T, recompute = false, dropout } = options;
    this.batch = batch;
    this.#recompute = recompute;
    this.#tape = tape;
    this.#model = model;
    this.#ids = inputIds(batch);
    this.#attrs = embeddingAttrs(tape.gpu, this.#ids, batch.positions, tablesOf(model));
    const first = this.own(upload(tape.gpu, batch.first, [batch.B]));
    const question = batch.latentStart < batch.T ? batch.latentStart : 0;
    const masks = dropout && {
      rate: dropout.rate,
      keys: this.own(maskKeys(tape.gpu, dropout, maskSites(model.config))),
    };
    this.state = rowState(model, first, columns, { apart: recompute ? question : 0, masks });
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
    if (this.#guesses) freeEmbeddingAttrs(this.#guesses.attrs);
    freeRowState(this.state);
    for (const tensor of this.#owned) tensor.free();
  }

  /**
   * Runs the passes in order. `firstNeeded(pass)` is the first column of a pass whose hidden states are wanted (t1
   * where none is); `visit` gets the hidden states [(t1-from)·B, C] of its columns from `from` on. `feed` may put
   * something else [B, C], or nothing, in the place of what a pass feeds back: `fed`, made of the hidden state
   * `thought`, for latent number `index`; of latents that several passes run it is asked each time. `takes` gets what a
   * pass takes in the end, [fed·B, C], before it runs.
   */
  run(
    plan: readonly Pass[],
    firstNeeded: (pass: Pass) => number,
    visit: (hidden: Tensor, pass: Pass, from: number) => void,
    feed?: Feed,
    takes?: (fed: Tensor, pass: Pass) => void,
  ): void {
    const tape = this.#tape;
    const { B } = this.batch;
    const runs = plan.flatMap((pass, i): Run[] => {
      const next = plan[i + 1];
      const needed = firstNeeded(pass);
      const from = Math.min(pass.t1 - (next?.fed ?? 0), needed);
      const recompute = this.#recompute && pass.recorded && pass.t1 - pass.t0 > 1 && pass.settled === pass.t1;
      // No later column and no label needs a pass of which nothing is read.
      return from < pass.t1
        ? [{ pass, name: passName(plan, i), from, next, labelled: needed < pass.t1, recompute }]
        : [];
    });
    const recorded = runs.filter(({ pass }) => pass.recorded);
    this.#prepare(recorded, takes !== undefined);
    let fed: Tensor | undefined; // what the hidden states before the pass feed back, [fed·B, C]
    for (const run of runs) {
      const { pass, from, next, recompute } = run;
      const { t0, t1 } = pass;
      const late = pass.recorded ? this.#late?.pass(recorded.indexOf(run)) : undefined;
      const settled = pass.recorded && pass.settled < t1 ? pass.settled : undefined;
      const options = { t0, from, late, settled, recompute };
      const forward = (): Tensor =>
        this.#model.forward(tape, this.#input(fed, pass, late), this.state, options);
      tape.gpu.scope(run.name, () => {
        const hidden = pass.recorded ? forward() : tape.noGrad(forward);
        visit(hidden, pass, from);
        if (!next || next.fed === 0) return;
        const rows = (t1 - from) * B;
        const thought = from === t1 - next.fed ? hidden : slice(tape, hidden, rows - next.fed * B, rows);
        fed = this.#fedInto(next, thought, pass.recorded || next.recorded, feed);
        if (fed) takes?.(fed, next);
      });
      // Here the backward pass has done all passes but this one, whose linear maps keep nothing.
      if (t0 === 0 && late) tape.whenReached(() => this.#late?.endMaps());
    }
  }

  /** What the pass `next` takes, made of the hidden states `thought` [fed·B, C] and of what `feed` puts in its place. */
  #fedInto(next: Pass, thought: Tensor, recorded: boolean, feed: Feed | undefined): Tensor | undefined {
    const tape = this.#tape;
    const form = (): Tensor => fedBack(tape, this.#model, thought, tensor => this.own(tensor));
    const fed = recorded ? form() : tape.noGrad(form);
    if (!feed) return fed;
    const { B, latentStart } = this.batch;
    const first = next.t0 - latentStart;
    if (next.fed === 1) return feed(fed, thought, first);
    if (recorded)
      throw new Error('what is fed to several columns at once is replaced without a gradient only');
    // The hook speaks of one latent at a time.
    const C = this.#model.config.width;
    const whole = this.own(empty(tape.gpu, [next.fed * B, C], fed.dtype));
    for (let c = 0; c < next.fed; c++) {
      const of = (x: Tensor): Tensor => slice(tape, x, c * B, (c + 1) * B);
      const column = feed(of(fed), of(thought), first + c);
      if (column) copyRange(column, 0, whole, c * B * C, B * C);
      else fill(whole.rows(c * B, (c + 1) * B), 0);
    }
    return whole;
  }

  /** What the backward of the recorded passes will need; `taken`: a loss reads what is fed back. */
  #prepare(recorded: readonly Run[], taken: boolean): void {
    if (recorded.length === 0) return;
    const { gpu } = this.#tape;
    const { B, positions } = this.batch;
    const rowsOf = (values: (pass: Pass) => Uint32Array): Uint32Array => {
      const parts = recorded.map(({ pass }) => values(pass).subarray(pass.t0 * B, pass.t1 * B));
      const rows = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        rows.set(part, at);
        at += part.length;
      }
      return rows;
    };
    const ids = rowsOf(pass => this.#inputs(pass).ids);
    this.#plans = embeddingPlans(
      gpu,
      ids,
      rowsOf(() => positions),
      tablesOf(this.#model),
    );
    if (recorded.length === 1) return;
    const slope = this.#model.config.recurrence?.feedback !== 'token';
    const columns = recorded.map(({ pass: { t0, t1 }, from, labelled, next, recompute }) => {
      // Gradient comes back from labels, and from what is fed back where that depends on the hidden state by a slope.
      const read =
        next !== undefined && next.fed > 0 && (taken || recorded.some(({ pass }) => pass === next));
      return { all: t1 - t0, read: labelled || (read && slope) ? t1 - from : 0, recompute };
    });
    this.#late = new LateRow(gpu, this.#model, B, columns, this.#plans);
  }

  /** Input embeddings of a pass: of its tokens, and what is fed to its first columns in the rows that think there. */
  #input(given: Tensor | undefined, pass: Pass, late: LatePass | undefined): Tensor {
    const tape = this.#tape;
    const { t0, t1, fed, recorded } = pass;
    const { B, latentStart, latents } = this.batch;
    const wte = this.#model.parameter('wte.weight');
    const wpe = this.#model.parameter('wpe.weight');
    const { ids, positions } = this.#inputs(pass).attrs;
    const kept = late?.embedding;
    const plans = recorded && !kept ? this.#plans : undefined;
    const { storage: dtype } = this.#model;
    const attrs = { ids, positions, rows: [t0 * B, t1 * B] as const, plans, late: kept, dtype };
    const place = kept?.store.dy.place(kept.at, (t1 - t0) * B);
    if (fed === 0 || !given) return tape.apply(embedding, { wte, wpe }, attrs, place);
    const first = t0 - latentStart;
    const thinks = Uint32Array.from({ length: fed * B }, (_, i) =>
      first + Math.floor(i / B) < latents[i % B]! ? 1 : 0,
    );
    const mask = thinks.includes(0) ? this.own(upload(tape.gpu, thinks, [fed * B])) : undefined;
    return tape.apply(embedding, { wte, wpe, hidden: given }, { ...attrs, mask }, place);
  }

  /** Ids of the whole batch as a pass takes them, on the CPU and on the device. */
  #inputs({ t0, t1, fed }: Pass): { readonly ids: Uint32Array; readonly attrs: EmbeddingAttrs } {
    const { batch } = this;
    const end = batch.latentStart + Math.max(...batch.latents);
    const guesses = fed > 0 && t0 + fed < Math.min(t1, end);
    if (!guesses) return { ids: this.#ids, attrs: this.#attrs };
    if (!this.#guesses) {
      const ids = inputIds(batch, t0 + fed);
      const attrs = embeddingAttrs(this.#tape.gpu, ids, batch.positions, tablesOf(this.#model));
      this.#guesses = { ids, attrs };
    }
    return this.#guesses;
  }
}

function tablesOf(model: Gpt): { vocabulary: number; columns: number } {
  return { vocabulary: model.config.vocabSize, columns: model.config.positions };
}

/** What a profile calls pass `i` of a plan. */
function passName(plan: readonly Pass[], i: number): string {
  if (plan.length === 1) return 'whole row';
  if (i === 0) return 'question';
  const what = plan.some(pass => pass.settled < pass.t1) ? 'iteration' : 'latent';
  return i < plan.length - 1 ? `${what} ${i}` : `${what} ${i} and text`;
}

function slice(tape: Tape, x: Tensor, from: number, to: number): Tensor {
  return tape.apply(sliceRows, { x }, { from, to });
}

/** Ids with NONE in the latent columns before `end`, which have a position but no token. */
function inputIds(batch: Batch, end = batch.T): Uint32Array {
  const ids = batch.ids.slice();
  for (const [b, count] of batch.latents.entries())
    for (let t = batch.latentStart; t < Math.min(batch.latentStart + count, end); t++)
      ids[t * batch.B + b] = NONE;
  return ids;
}

/**
 * Forward pass of a batch and its loss, recorded on `tape`: mean cross-entropy over the labelled columns, each
 * predicted at the column before it, and with `stepScale` the step head's. Throws UserError on a batch that the model or
 * the window does not fit.
 */
export function latentLoss(tape: Tape, model: Gpt, batch: Batch, options: LossOptions): Loss {
  const { B, T } = batch;
  const { window, stepScale = 0 } = options;
  const { schedule } = model.config.recurrence ?? PUBLISHED;
  const n = checkBatch(batch, window, schedule);
  const labelled = labelledRows(batch, model.config.vocabSize);
  if (labelled.length === 0) throw new UserError('the batch has no labels, so there is no loss');
  const scale = options.scale ?? 1 / labelled.length;
  const row = new LatentRow(tape, model, batch, {
    recompute: options.recompute,
    dropout: options.dropout,
  });
  const own = (tensor: Tensor): Tensor => row.own(tensor);
  const supervised = stepScale > 0 && batch.steps?.some(steps => stepTokenCount({ steps }, schedule) > 0);
  // A column that is run again has its labels in the pass that runs it last.
  const labelsOf = ({ t0, settled }: Pass): Labelled[] =>
    labelled.filter(label => label.row >= t0 * B && label.row < settled * B);
  const sum = (loss: Tensor | undefined, part: Tensor): Tensor =>
    loss ? tape.apply(add, { a: loss, b: part }, undefined) : part;
  let loss: Tensor | undefined;
  const thoughts: Tensor[] = [];
  const take = (fed: Tensor, { settled, t0, fed: columns }: Pass): void => {
    const last = Math.min(settled - t0, columns);
    thoughts.push(last === columns ? fed : slice(tape, fed, 0, last * B));
  };
  row.run(
    passes(T, batch.latentStart, n, window, schedule),
    pass => Math.min(pass.t1, ...labelsOf(pass).map(label => Math.floor(label.row / B))),
    (hidden, pass, from) => {
      const here = labelsOf(pass).map(label => ({ ...label, row: label.row - from * B }));
      if (here.length === 0) return;
      tape.gpu.scope('head and loss', () => {
        loss = sum(loss, headLoss(tape, model, hidden, here, scale, own));
      });
    },
    undefined,
    supervised ? take : undefined,
  );
  if (supervised)
    tape.gpu.scope('step head', () => {
      const all = thoughts.length === 1 ? thoughts[0]! : tape.apply(concatRows, inOrder(thoughts), undefined);
      loss = sum(loss, stepLoss(tape, model, all, batch, stepScale, own));
    });
  return { loss: loss!, release: () => row.release() };
}

/** Labels are unshifted: that of column t is predicted at column t - 1. A label of V or more has no logit. */
export function labelledRows({ B, labels }: Batch, V: number): Labelled[] {
  const out: Labelled[] = [];
  for (let i = B; i < labels.length; i++) {
    const target = labels[i]!;
    if (target >= V) throw new UserError(`label ${target} is out of range: the model has ${V} tokens`);
    if (target >= 0) out.push({ row: i - B, target });
  }
  return out;
}
