// Token and position embedding, and its scatter-add backward. Ids are data, not inputs: they are checked and
// sorted on the CPU once a batch, and take no gradient.
import { fill, pieces, rowsOf } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor, upload } from '../tensor.ts';
import { COLS, ceilDiv } from './launch.ts';
import { freePlan, NONE, type ScatterTensors, scatterAdd, scatterPlan, uploadPlan } from './scatter.ts';

type Inputs = { wte: Tensor; wpe: Tensor };

export interface EmbeddingAttrs {
  /** u32 [M]; NONE (0xffffffff) for a latent column, which has a position but no token. */
  readonly ids: Tensor;
  /** u32 [M] */
  readonly positions: Tensor;
  /** Where gradients go; undefined on a pass that is not recorded. */
  readonly plans: { readonly ids: ScatterTensors; readonly positions: ScatterTensors } | undefined;
}

/**
 * Ids and positions on a device, checked against the tables' heights `vocabulary` and `columns`; plans for the
 * backward pass unless `recorded` is false. The caller frees them (`freeEmbeddingAttrs`). Throws UserError for
 * an id or position out of range.
 */
export function embeddingAttrs(
  gpu: Gpu,
  ids: Uint32Array,
  positions: Uint32Array,
  { vocabulary, columns, recorded = true }: { vocabulary: number; columns: number; recorded?: boolean },
): EmbeddingAttrs {
  if (ids.length !== positions.length)
    throw new Error(`embedding: ${ids.length} ids but ${positions.length} positions`);
  if (positions.includes(NONE)) throw new Error('embedding: every row needs a position');
  const idPlan = scatterPlan(ids, vocabulary, 'token id');
  const positionPlan = scatterPlan(positions, columns, 'position');
  return {
    ids: upload(gpu, ids, [ids.length]),
    positions: upload(gpu, positions, [positions.length]),
    plans: recorded ? { ids: uploadPlan(gpu, idPlan), positions: uploadPlan(gpu, positionPlan) } : undefined,
  };
}

export function freeEmbeddingAttrs({ ids, positions, plans }: EmbeddingAttrs): void {
  ids.free();
  positions.free();
  if (!plans) return;
  freePlan(plans.ids);
  freePlan(plans.positions);
}

/**
 * y[m] = wte[ids[m]] + wpe[positions[m]], without the token part where ids[m] is NONE. wte [V, C], wpe [P, C],
 * y [M, C]. Tables over the device's binding limit (GPT-2's wte: 147 MiB, against 128) are done in pieces.
 */
export const embedding: Op<Inputs, EmbeddingAttrs> = {
  name: 'embedding',

  forward(gpu, { wte, wpe }, { ids, positions }) {
    const [V, C] = wte.shape;
    if (V === undefined || C === undefined || wpe.shape.length !== 2 || wpe.shape[1] !== C)
      throw new Error(`embedding: wte [${wte.shape}] and wpe [${wpe.shape}] must be [V, C] and [P, C]`);
    const M = ids.size;
    const output = empty(gpu, [M, C]);
    const groups = ceilDiv(M * ceilDiv(C, COLS), 64);
    for (const [vStart, vEnd] of pieces(gpu, V, 4 * C)) {
      const bind = { wte: rowsOf(wte, C, vStart, vEnd), wpe, ids, positions, y: output };
      gpu.run('embedding', bind, { M, C, vStart, vEnd }, { groups, unroll: true });
    }
    return { output, saved: {} };
  },

  // y[m] = wte[ids[m]] + wpe[positions[m]]: each table row takes the sum of the gradients of the rows it served.
  backward(gpu, { attrs: { plans } }, dOutput, d) {
    if (!plans)
      throw new Error('embedding: no backward plans; the attributes were made with recorded: false');
    for (const [slot, plan] of [
      [d.wte, plans.ids],
      [d.wpe, plans.positions],
    ] as const) {
      if (!slot) continue;
      if (slot.beta === 0) fill(slot.tensor, 0);
      scatterAdd(gpu, dOutput, plan, slot.tensor);
    }
  },
};
