// Scatter-add of rows without atomics: targets are sorted on the CPU, then one thread sums one target's rows in
// order, so the same bits come out every time. The plan is a pure function; the rest puts it on a device.

import { UserError } from '../errors.ts';
import { pieces, rowsOf } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { type Tensor, upload } from '../tensor.ts';
import { COLS, ceilDiv } from './launch.ts';

/** The id of a row without a target: it takes no part. */
export const NONE = 0xffffffff;

/** Compressed sparse rows: rows of target distinct[n] are order[offsets[n] .. offsets[n + 1]), ascending. */
export interface ScatterPlan {
  /** Targets that occur, ascending. [N] */
  readonly distinct: Uint32Array;
  /** [N + 1] */
  readonly offsets: Uint32Array;
  /** Row numbers, by target and then ascending. */
  readonly order: Uint32Array;
}

/** Throws UserError for an id that is neither NONE nor below `vocabulary`; `what` names the ids in it. */
export function checkIds(ids: Uint32Array, vocabulary: number, what: string): void {
  const row = ids.findIndex(id => id >= vocabulary && id !== NONE);
  if (row >= 0)
    throw new UserError(
      `${what} ${ids[row]} (row ${row}) is out of range: the model has ${vocabulary} of them`,
    );
}

/**
 * Sorts rows by their target id: a counting sort over ids that occur. Ids equal to NONE are left out. Throws as
 * `checkIds` does.
 */
export function scatterPlan(ids: Uint32Array, vocabulary: number, what = 'token id'): ScatterPlan {
  checkIds(ids, vocabulary, what);
  const counts = new Map<number, number>();
  for (const id of ids) if (id !== NONE) counts.set(id, (counts.get(id) ?? 0) + 1);
  const distinct = Uint32Array.from(counts.keys()).sort();
  const offsets = new Uint32Array(distinct.length + 1);
  const next = new Map<number, number>();
  for (const [n, id] of distinct.entries()) {
    next.set(id, offsets[n]!);
    offsets[n + 1] = offsets[n]! + counts.get(id)!;
  }
  const order = new Uint32Array(offsets[distinct.length]!);
  for (const [row, id] of ids.entries()) {
    const at = next.get(id);
    if (at === undefined) continue;
    order[at] = row;
    next.set(id, at + 1);
  }
  return { distinct, offsets, order };
}

/** A plan on a device. */
export interface ScatterTensors {
  readonly plan: ScatterPlan;
  /** The same three arrays as u32 tensors; undefined where no row has a target. */
  readonly tensors:
    | { readonly distinct: Tensor; readonly starts: Tensor; readonly order: Tensor }
    | undefined;
}

export function uploadPlan(gpu: Gpu, plan: ScatterPlan): ScatterTensors {
  const { distinct, offsets, order } = plan;
  if (distinct.length === 0) return { plan, tensors: undefined };
  const put = (data: Uint32Array): Tensor => upload(gpu, data, [data.length]);
  return { plan, tensors: { distinct: put(distinct), starts: put(offsets), order: put(order) } };
}

export function freePlan({ tensors }: ScatterTensors): void {
  for (const tensor of Object.values(tensors ?? {})) tensor.free();
}

/** y[id[m]] += x[m] for every row m with a target. x [M, C]; y [targets, C], in pieces where it exceeds a binding. */
export function scatterAdd(gpu: Gpu, x: Tensor, { plan, tensors }: ScatterTensors, y: Tensor): void {
  if (!tensors) return;
  const C = y.shape[y.shape.length - 1]!;
  for (const [from, to] of pieces(gpu, y.size / C, 4 * C)) {
    const nStart = firstAtLeast(plan.distinct, from);
    const nEnd = firstAtLeast(plan.distinct, to);
    if (nStart === nEnd) continue;
    gpu.run(
      'scatter-add',
      { x, ...tensors, y: rowsOf(y, C, from, to) },
      { C, nStart, nEnd, yStart: from },
      { groups: ceilDiv((nEnd - nStart) * ceilDiv(C, COLS), 16), unroll: true },
    );
  }
}

/** Index of the first element of an ascending array that is at least `value`. */
function firstAtLeast(ascending: Uint32Array, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
