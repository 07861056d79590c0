// Dropout (Srivastava et al. 2014, in the inverted form) and the residual sum that follows it. No mask is stored: the
// kernel draws it again in the backward pass.
import { copy } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Op, Slot } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { COLS, ceilDiv, expectShape, expectSize, widthOf } from './launch.ts';
import { dropBound, type SiteMasks } from './masks.ts';

type Inputs = { x: Tensor; residual?: Tensor };

export interface DropoutAttrs {
  readonly masks: SiteMasks;
  /** u32 [B]: the first real column of each row. */
  readonly first: Tensor;
  /** The column of the first rows. */
  readonly t0: number;
  /** The values of y are not wanted: they are not computed. */
  readonly unread?: boolean | undefined;
}

/**
 * y = kept·x / (1 - rate) + residual, rows (t - t0)*B + b of columns from t0 on. x, residual, y [M, C]. What is kept of
 * column t depends on its row's key and its position t - first[b] alone: `keepsChannel` in masks.ts.
 */
export const dropout: Op<Inputs, DropoutAttrs> = {
  name: 'dropout',
  passes: ['residual'],

  forward(gpu, { x, residual }, attrs) {
    if (residual) expectShape('dropout', 'residual', residual, x.shape);
    const output = empty(gpu, x.shape, x.dtype);
    if (!attrs.unread) drop(gpu, x, residual, { tensor: output, beta: 0 }, attrs);
    return { output, saved: {} };
  },

  // y = kept·x / (1 - rate) + residual: dx = kept·dy / (1 - rate)
  backward(gpu, { attrs }, dOutput, d) {
    if (d.x) drop(gpu, dOutput, undefined, d.x, attrs);
    if (d.residual) copy(dOutput, d.residual.tensor, d.residual.beta);
  },
};

function drop(
  gpu: Gpu,
  x: Tensor,
  residual: Tensor | undefined,
  y: Slot,
  { masks: { rate, keys, site }, first, t0 }: DropoutAttrs,
): void {
  const C = widthOf(x);
  const M = x.size / C;
  const B = first.size;
  if (M % B !== 0) throw new Error(`dropout: [${x.shape}] are no columns of ${B} rows`);
  expectSize('dropout', 'keys', keys, keys.shape[0]! * B * 2);
  const bind = { x, residual: residual ?? x, first, keys, y: y.tensor };
  const params = { M, C, B, t0, site, bound: dropBound(rate), scale: 1 / (1 - rate), beta: y.beta };
  const consts = { RESIDUAL: residual !== undefined };
  gpu.run('dropout', bind, params, { groups: ceilDiv(M * ceilDiv(C, COLS), 64), consts, unroll: true });
}
