// GPT-2's feed-forward layer: two linear maps with GELU between, and the residual sum. One op, so that GELU and its
// slope run in the dispatches of the products beside them.
import { copy } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { type Late, type LateGradients, weightGradients } from './late.ts';
import { type MatmulVariant, type Operand, product } from './product.ts';
import { sumRows } from './reduce.ts';

type Inputs = { x: Tensor; w1: Tensor; b1: Tensor; w2: Tensor; b2: Tensor; residual?: Tensor };

/** h: the hidden layer before GELU; g: after it. Both [M, I]. */
type Saved = { h: Tensor; g: Tensor };

export interface MlpAttrs {
  readonly variant?: MatmulVariant;
  /** Where all passes keep what the gradients of w1 and w2 need. */
  readonly late?:
    | {
        readonly first: Late<LateGradients> | undefined;
        readonly second: Late<LateGradients> | undefined;
      }
    | undefined;
  /** The values of y are not wanted, only what the backward needs: they are not computed. */
  readonly unread?: boolean | undefined;
}

/**
 * y = gelu(x·w1 + b1)·w2 + b2 + residual with x [M, C], w1 [C, I], w2 [I, C], residual [M, C] or none. GELU as in gelu.ts.
 */
export const mlp: Op<Inputs, MlpAttrs, Saved> = {
  name: 'mlp',
  passes: ['residual'],
  forward(gpu, { x, w1, b1, w2, b2, residual }, { variant, late, unread }) {
    const inner = w1.shape.at(-1)!;
    const rows = x.size / x.shape.at(-1)!;
    const h = empty(gpu, [rows, inner], x.dtype);
    const g = placed(gpu, late?.second, 'x', h);
    const y = empty(gpu, [...x.shape.slice(0, -1), w2.shape.at(-1)!], x.dtype);
    // h = x·w1 + b1, g = gelu(h)
    product(gpu, plain(x), plain(w1), { tensor: g, beta: 0 }, { variant, bias: b1, gelu: h });
    // y = g·w2 + b2 + residual
    if (!unread) product(gpu, plain(g), plain(w2), { tensor: y, beta: 0 }, { variant, bias: b2, residual });
    return { output: y, saved: { h, g } };
  },
  backward(gpu, { inputs: { x, w1, w2 }, attrs: { variant, late }, saved: { h, g } }, dy, d) {
    // y = g·w2 + b2 + residual
    if (d.w2) weightGradients(gpu, g, dy, d.w2, d.b2, late?.second, variant);
    else if (d.b2) sumRows(gpu, dy, d.b2);
    if (d.residual) copy(dy, d.residual.tensor, d.residual.beta);
    if (!d.x && !d.w1 && !d.b1) return;
    // h = x·w1 + b1, g = gelu(h)
    const dh = placed(gpu, late?.first, 'dy', h);
    product(gpu, plain(dy), transposed(w2), { tensor: dh, beta: 0 }, { variant, geluAt: h });
    if (d.w1) weightGradients(gpu, x, dh, d.w1, d.b1, late?.first, variant);
    else if (d.b1) sumRows(gpu, dh, d.b1);
    if (d.x) product(gpu, plain(dh), transposed(w1), d.x, { variant });
    dh.free();
  },
};

/** A tensor of `like`'s shape and type, where it is to be kept, if it is. */
function placed(
  gpu: Gpu,
  late: Late<LateGradients> | undefined,
  side: 'x' | 'dy',
  { shape, dtype }: Tensor,
): Tensor {
  return late?.store[side].place(late.at, shape[0]!) ?? empty(gpu, shape, dtype);
}

function plain(matrix: Tensor): Operand {
  return { matrix, transposed: false };
}

function transposed(matrix: Tensor): Operand {
  return { matrix, transposed: true };
}
