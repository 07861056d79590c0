// The linear map of GPT-2's projections, with the residual sum that follows two of them in the same dispatch.
import { copy } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { type Late, type LateGradients, weightGradients } from './late.ts';
import { type MatmulVariant, product } from './product.ts';
import { sumRows } from './reduce.ts';

type Inputs = { x: Tensor; w: Tensor; b?: Tensor; residual?: Tensor };

export interface LinearAttrs {
  readonly variant?: MatmulVariant;
  /** Where y goes, of its size; by default memory of its own. */
  readonly out?: Tensor | undefined;
  /** Where all passes keep what their weight gradient needs. */
  readonly late?: Late<LateGradients> | undefined;
  /** Of the first `rows` rows only the outputs from column `from` on are wanted; their other dy must be zero. */
  readonly skip?: { readonly rows: number; readonly from: number } | undefined;
}

/** y = x·w + b + residual with x [M, K], w [K, N] (GPT-2's "Conv1D" form), b [N], residual [M, N]. */
export const linear: Op<Inputs, LinearAttrs> = {
  name: 'linear',
  passes: ['residual'],
  forward(gpu, { x, w, b, residual }, { variant, skip, out }) {
    const y = out ?? empty(gpu, [...x.shape.slice(0, -1), w.shape.at(-1)!], x.dtype);
    const X = { matrix: x, transposed: false };
    const W = { matrix: w, transposed: false };
    const ranges = skip && [{ m1: skip.rows, n0: skip.from }, { m0: skip.rows }];
    product(gpu, X, W, { tensor: y, beta: 0 }, { variant, bias: b, residual, ranges });
    return { output: y, saved: {} };
  },
  backward(gpu, { inputs: { x, w }, attrs: { variant, late, skip } }, dy, d) {
    // y = x·w + b + residual
    const dY = { matrix: dy, transposed: false };
    const ranges = skip && [{ m1: skip.rows, k0: skip.from }, { m0: skip.rows }];
    if (d.x) product(gpu, dY, { matrix: w, transposed: true }, d.x, { variant, ranges });
    if (d.w) weightGradients(gpu, x, dy, d.w, d.b, late, variant);
    else if (d.b) sumRows(gpu, dy, d.b);
    if (d.residual) copy(dy, d.residual.tensor, d.residual.beta);
  },
};
