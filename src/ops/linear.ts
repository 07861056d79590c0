// The linear map of GPT-2's projections, with the residual sum that follows two of them in the same dispatch.
import { copy } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { type LateGradients, weightGradients } from './late.ts';
import { type MatmulVariant, product } from './product.ts';
import { sumRows } from './reduce.ts';

type Inputs = { x: Tensor; w: Tensor; b?: Tensor; residual?: Tensor };

export interface LinearAttrs {
  readonly variant?: MatmulVariant;
  /** Where passes of one column keep what their weight gradient needs. */
  readonly late?: LateGradients | undefined;
}

/** y = x·w + b + residual with x [M, K], w [K, N] (GPT-2's "Conv1D" form), b [N], residual [M, N]. */
export const linear: Op<Inputs, LinearAttrs> = {
  name: 'linear',
  passes: ['residual'],
  forward(gpu, { x, w, b, residual }, { variant }) {
    const y = empty(gpu, [...x.shape.slice(0, -1), w.shape.at(-1)!]);
    const X = { matrix: x, transposed: false };
    const W = { matrix: w, transposed: false };
    product(gpu, X, W, { tensor: y, beta: 0 }, { variant, bias: b, residual });
    return { output: y, saved: {} };
  },
  backward(gpu, { inputs: { x, w }, attrs: { variant, late } }, dy, d) {
    // y = x·w + b + residual
    const dY = { matrix: dy, transposed: false };
    if (d.x) product(gpu, dY, { matrix: w, transposed: true }, d.x, { variant });
    if (d.w) weightGradients(gpu, x, dy, d.w, d.b, late);
    else if (d.b) sumRows(gpu, dy, d.b);
    if (d.residual) copy(dy, d.residual.tensor, d.residual.beta);
  },
};
