// Softmax cross-entropy over labelled rows. The gradient comes out of the forward kernel, where the softmax is at
// hand; the backward pass only multiplies it by the loss's own gradient.

import { bindableRows, pieces, rowsOf, runFlat } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { ceilDiv, defaultRowForm, expectSize, type RowForm } from './launch.ts';
import { sum } from './reduce.ts';

type Inputs = { logits: Tensor };
type Saved = { dlogits: Tensor };

export interface CrossEntropyAttrs {
  /** u32 [R], below V; 0xffffffff = no label: the row adds nothing to the loss and gets no gradient. */
  readonly targets: Tensor;
  /** What the sum is multiplied by: 1 / (number of labels) gives the mean. */
  readonly scale: number;
  /** false where only the loss is wanted: the gradient is then not computed. Default true. */
  readonly gradient?: boolean;
  /** Layout of the kernel; by adapter and shape where it is not given. */
  readonly form?: RowForm;
}

/** loss [1] = scale * sum over r of (log(sum over v of exp(logits[r, v])) - logits[r, targets[r]]). logits [R, V]. */
export const crossEntropy: Op<Inputs, CrossEntropyAttrs, Saved> = {
  name: 'cross-entropy',

  forward(gpu, { logits }, { targets, scale, gradient = true, form }) {
    const [R, V] = logits.shape;
    if (R === undefined || V === undefined || logits.shape.length !== 2)
      throw new Error(`cross-entropy: logits have shape [${logits.shape}], expected [R, V]`);
    expectSize('cross-entropy', 'targets', targets, R);
    const wide = (form ?? defaultRowForm(gpu, R, V)) === 'workgroup';
    const losses = empty(gpu, [R]);
    const dlogits = empty(gpu, gradient ? [R, V] : [4], logits.dtype);
    for (const [rowStart, rowEnd] of pieces(gpu, R, 4 * V, bindableRows(logits))) {
      const bind = {
        logits: rowsOf(logits, V, rowStart, rowEnd),
        targets,
        losses,
        dlogits: gradient ? rowsOf(dlogits, V, rowStart, rowEnd) : dlogits,
      };
      const rows = rowEnd - rowStart;
      const params = { R: rows, V, rowStart, scale: keptScale(logits, scale) };
      if (wide)
        gpu.run('cross-entropy-workgroup', bind, params, { groups: rows, consts: { GRADIENT: gradient } });
      // That one subtracts 1 from a probability that is stored already, of which f16 would have lost the digits.
      else if (V % 4 === 0 && logits.dtype !== 'f16')
        gpu.run('cross-entropy-vec', bind, params, {
          groups: ceilDiv(rows, 16),
          consts: { GRADIENT: gradient },
        });
      else {
        const consts = { GRADIENT: gradient, GUARD: V % 8 !== 0 };
        gpu.run('cross-entropy', bind, params, { groups: ceilDiv(rows, 16), consts, unroll: true });
      }
    }
    const output = sum(gpu, losses, scale);
    losses.free();
    return { output, saved: { dlogits } };
  },

  // loss = scale * sum of (l - logits[r, target]), l = log sum exp: dlogits = scale (softmax - onehot) dloss.
  backward(gpu, { attrs, saved }, dOutput, d) {
    if (!d.logits) return;
    if (attrs.gradient === false) throw new Error('cross-entropy: the forward pass was told gradient: false');
    const { tensor, beta } = d.logits;
    const flat = { x: saved.dlogits, y: tensor };
    const rest = attrs.scale / keptScale(tensor, attrs.scale);
    const factor = rest === 1 ? dOutput : sum(gpu, dOutput, rest);
    runFlat(gpu, 'scale', flat, (_, count) => ({ count }), { factor }, { ADD: beta === 1 });
    if (factor !== dOutput) factor.free();
  },
};

/**
 * What of the scale the gradient is kept with: f16 would lose most of it to underflow, and gets it with the loss's own
 * gradient, which is large then.
 */
function keptScale({ dtype }: Tensor, scale: number): number {
  return dtype === 'f16' ? 1 : scale;
}
