// Matrix products on the tape. Knows tensors; how a product runs is in product.ts.
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { type MatmulVariant, matrixShape, type Operand, product } from './product.ts';

export interface MatmulAttrs {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly batch?: number;
  readonly variant?: MatmulVariant;
}

/** c = op(a)·op(b), batched over `batch` leading entries; c is of a's type. */
export const matmul: Op<{ a: Tensor; b: Tensor }, MatmulAttrs> = {
  name: 'matmul',
  forward(gpu, { a, b }, attrs) {
    const batch = attrs.batch ?? 1;
    const M = attrs.transposeA ? a.shape.at(-1)! : matrixShape(a, batch)[0];
    const N = attrs.transposeB ? matrixShape(b, batch)[0] : b.shape.at(-1)!;
    const c = empty(gpu, batch > 1 ? [batch, M, N] : [M, N], a.dtype);
    const A = { matrix: a, transposed: attrs.transposeA ?? false };
    const B = { matrix: b, transposed: attrs.transposeB ?? false };
    product(gpu, A, B, { tensor: c, beta: 0 }, attrs);
    return { output: c, saved: {} };
  },
  // c = op(a)·op(b), so d op(a) = dc·op(b)ᵀ and d op(b) = op(a)ᵀ·dc; a stored transposed gets the transpose of that.
  backward(gpu, { inputs: { a, b }, attrs }, dc, d) {
    const ta = attrs.transposeA ?? false;
    const tb = attrs.transposeB ?? false;
    const A = (transposed: boolean): Operand => ({ matrix: a, transposed });
    const B = (transposed: boolean): Operand => ({ matrix: b, transposed });
    const dC = (transposed: boolean): Operand => ({ matrix: dc, transposed });
    if (d.a && !ta) product(gpu, dC(false), B(!tb), d.a, attrs);
    if (d.a && ta) product(gpu, B(tb), dC(true), d.a, attrs);
    if (d.b && !tb) product(gpu, A(!ta), dC(false), d.b, attrs);
    if (d.b && tb) product(gpu, dC(true), A(ta), d.b, attrs);
  },
};
