// Token and position embedding, the hidden states that are fed back in a token's place, and the scatter-add backward.
// Ids are data, not inputs: they are checked and sorted on the CPU once a batch, and take no gradient.
import { copyRange, fill, pieces, rowsOf } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Op, Slot } from '../tape.ts';
import { type DType, empty, type Tensor, upload } from '../tensor.ts';
import type { Late } from './late.ts';
import { COLS, ceilDiv, expectShape, expectSize, widthOf } from './launch.ts';
import {
  checkIds,
  freePlan,
  NONE,
  type ScatterTensors,
  scatterAdd,
  scatterPlan,
  uploadPlan,
} from './scatter.ts';
import { SharedRows } from './shared-rows.ts';

type Inputs = { wte: Tensor; wpe: Tensor; hidden?: Tensor };

/** Heights of the two tables. */
export interface EmbeddingTables {
  readonly vocabulary: number;
  readonly columns: number;
}

/** The rows of dy that each row of a table takes. */
export interface EmbeddingPlans {
  readonly ids: ScatterTensors;
  readonly positions: ScatterTensors;
}

export interface EmbeddingAttrs {
  /** u32, those of a whole batch; NONE (0xffffffff) for a latent column, which has a position but no token. */
  readonly ids: Tensor;
  /** u32, as many. */
  readonly positions: Tensor;
  /** Rows [from, to) of the batch that are embedded; all by default. */
  readonly rows?: readonly [number, number];
  /** Type of y, which is that of `hidden`; f32 by default. */
  readonly dtype?: DType;
  /** u32 [B], with `hidden`: not 0 where the row thinks on at this column, as all do where there is no mask. */
  readonly mask?: Tensor | undefined;
  /** Where gradients go; undefined on a pass that is not recorded, or that has `late`. */
  readonly plans?: EmbeddingPlans | undefined;
  /** Where all passes keep their gradients, for one scatter-add. */
  readonly late?: Late<LateEmbedding> | undefined;
}

/**
 * Ids and positions on a device, checked against the tables' heights. The caller frees them (`freeEmbeddingAttrs`).
 * Throws UserError for an id or position out of range.
 */
export function embeddingAttrs(
  gpu: Gpu,
  ids: Uint32Array,
  positions: Uint32Array,
  { vocabulary, columns }: EmbeddingTables,
): EmbeddingAttrs {
  if (ids.length !== positions.length)
    throw new Error(`embedding: ${ids.length} ids but ${positions.length} positions`);
  if (positions.includes(NONE)) throw new Error('embedding: every row needs a position');
  checkIds(ids, vocabulary, 'token id');
  checkIds(positions, columns, 'position');
  return { ids: upload(gpu, ids, [ids.length]), positions: upload(gpu, positions, [positions.length]) };
}

/** Plans for the backward of rows with these ids and positions. The caller frees them. Throws as `embeddingAttrs`. */
export function embeddingPlans(
  gpu: Gpu,
  ids: Uint32Array,
  positions: Uint32Array,
  { vocabulary, columns }: EmbeddingTables,
): EmbeddingPlans {
  return {
    ids: uploadPlan(gpu, scatterPlan(ids, vocabulary, 'token id')),
    positions: uploadPlan(gpu, scatterPlan(positions, columns, 'position')),
  };
}

export function freeEmbeddingAttrs({ ids, positions }: EmbeddingAttrs): void {
  ids.free();
  positions.free();
}

export function freeEmbeddingPlans({ ids, positions }: EmbeddingPlans): void {
  freePlan(ids);
  freePlan(positions);
}

/** Gradients of the embeddings of all recorded passes, and the plans of their rows, which stay the caller's. */
export class LateEmbedding {
  readonly dy: SharedRows;
  readonly #gpu: Gpu;
  readonly #plans: EmbeddingPlans;
  #target: { readonly wte: Slot | undefined; readonly wpe: Slot | undefined } | undefined;

  constructor(gpu: Gpu, rows: number, C: number, plans: EmbeddingPlans, dtype: DType) {
    this.#gpu = gpu;
    this.dy = new SharedRows(gpu, rows, C, dtype);
    this.#plans = plans;
  }

  /**
   * Keeps a pass's rows, and once all are there scatters them into the tables' gradients, in the slots given first. Those
   * are cleared at once: thoughts that are made of token embeddings add to them before the last pass has run backward.
   */
  keep(at: number, dy: Tensor, wte: Slot | undefined, wpe: Slot | undefined): void {
    this.dy.put(at, dy);
    this.#target ??= { wte: cleared(wte), wpe: cleared(wpe) };
    if (this.dy.complete) scatter(this.#gpu, this.dy.all, this.#plans, this.#target.wte, this.#target.wpe);
  }

  end(): void {
    this.dy.end();
  }
}

/**
 * y[m] = wte[ids[m]] + wpe[positions[m]], without the token part where ids[m] is NONE, over the rows asked for; the
 * first B of them take hidden[m] too, unless mask[m] is 0. wte [V, C], wpe [P, C], hidden [B, C], y [M, C]. Tables
 * over the device's binding limit (GPT-2's wte: 147 MiB, against 128) are done in pieces.
 */
export const embedding: Op<Inputs, EmbeddingAttrs> = {
  name: 'embedding',
  // Where all rows think and nothing follows.
  passes: ({ hidden }, { ids, rows = [0, ids.size], mask }) =>
    hidden && !mask && hidden.shape[0] === rows[1] - rows[0] ? ['hidden'] : [],

  forward(gpu, { wte, wpe, hidden }, { ids, positions, rows: [row0, row1] = [0, ids.size], mask, dtype }) {
    const [V, C] = wte.shape;
    if (V === undefined || C === undefined || wpe.shape.length !== 2 || wpe.shape[1] !== C)
      throw new Error(`embedding: wte [${wte.shape}] and wpe [${wpe.shape}] must be [V, C] and [P, C]`);
    const M = row1 - row0;
    if (!(row0 >= 0 && M > 0 && row1 <= ids.size && positions.size === ids.size))
      throw new Error(`embedding: there are no rows ${row0} to ${row1} of ${ids.size}`);
    const fed = hidden ? hidden.size / C : 0;
    if (hidden) expectShape('embedding', 'hidden', hidden, [Math.min(fed, M), C]);
    if (mask) expectSize('embedding', 'mask', mask, fed);
    const output = empty(gpu, [M, C], dtype);
    const groups = ceilDiv(M * ceilDiv(C, COLS), 64);
    for (const [vStart, vEnd] of pieces(gpu, V, 4 * C)) {
      const tables = { wte: rowsOf(wte, C, vStart, vEnd), wpe };
      // What is not given still needs a buffer to bind.
      const bind = { ...tables, ids, positions, hidden: hidden ?? wpe, mask: mask ?? ids, y: output };
      const params = { M, C, vStart, vEnd, row0, fed, masked: mask ? 1 : 0 };
      const consts = { FED: hidden !== undefined, FIRST: vStart === 0, GUARD: C % COLS !== 0 };
      gpu.run('embedding', bind, params, { groups, consts, unroll: true });
    }
    return { output, saved: {} };
  },

  // y[m] = wte[ids[m]] + wpe[positions[m]] + (m < B and mask[m] ? hidden[m] : 0)
  backward(gpu, { attrs: { mask, plans, late } }, dOutput, d) {
    if (d.hidden && mask) {
      const C = widthOf(dOutput);
      const B = mask.size;
      const bind = { dy: dOutput, mask, dhidden: d.hidden.tensor };
      const groups = ceilDiv(B * ceilDiv(C, COLS), 16);
      gpu.run('feedback-backward', bind, { B, C, beta: d.hidden.beta }, { groups, unroll: true });
    } else if (d.hidden) copyRange(dOutput, 0, d.hidden.tensor, 0, d.hidden.tensor.size, d.hidden.beta);
    if (!d.wte && !d.wpe) return;
    if (late) late.store.keep(late.at, dOutput, d.wte, d.wpe);
    else if (plans) scatter(gpu, dOutput, plans, d.wte, d.wpe);
    else throw new Error('embedding: a gradient is wanted, but there are no plans for it');
  },
};

/** Each table row takes the sum of the gradients of the rows it served. */
function scatter(gpu: Gpu, dy: Tensor, plans: EmbeddingPlans, wte?: Slot, wpe?: Slot): void {
  for (const [slot, plan] of [
    [wte, plans.ids],
    [wpe, plans.positions],
  ] as const) {
    const target = cleared(slot);
    if (target) scatterAdd(gpu, dy, plan, target.tensor);
  }
}

/** The slot as one that is added to. */
function cleared(slot: Slot | undefined): Slot | undefined {
  if (!slot || slot.beta === 1) return slot;
  fill(slot.tensor, 0);
  return { tensor: slot.tensor, beta: 1 };
}
