// Softmax over the last dimension: a distribution over the vocabulary from logits, as a value that is computed with.
// Where only the loss needs it, cross-entropy has it inside.
import { bindableRows, pieces, rowsOf } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { ceilDiv, defaultRowForm, type RowForm, widthOf } from './launch.ts';

type Inputs = { x: Tensor };

export interface SoftmaxAttrs {
  /** Layout of the kernels; by adapter and shape where it is not given. */
  readonly form?: RowForm;
}

/** y[r] = exp(x[r]) / (sum of exp(x[r])) a row. x [R, V] in any shape. */
export const softmax: Op<Inputs, SoftmaxAttrs> = {
  name: 'softmax',

  forward(gpu, { x }, { form }) {
    const output = empty(gpu, x.shape, x.dtype);
    launch(gpu, 'softmax', { x, y: output }, {}, form, { GUARD: widthOf(x) % 8 !== 0 });
    return { output, saved: {} };
  },

  // y = softmax(x): dx = y (dy - sum of dy y), since each y falls as the others rise.
  backward(gpu, { attrs: { form }, output: y }, dOutput, d) {
    if (!d.x) return;
    const bind = { y, dy: dOutput, dx: d.x.tensor };
    launch(gpu, 'softmax-backward', bind, { beta: d.x.beta }, form, {});
  },
};

/** Runs a kernel over the rows of tensors of one shape, in pieces where they exceed what a binding can span. */
function launch(
  gpu: Gpu,
  kernel: string,
  tensors: Readonly<Record<string, Tensor>>,
  params: Readonly<Record<string, number>>,
  form: RowForm | undefined,
  consts: Readonly<Record<string, boolean>>,
): void {
  const one = Object.values(tensors)[0]!;
  const V = widthOf(one);
  const rows = one.size / V;
  const wide = (form ?? defaultRowForm(gpu, rows, V)) === 'workgroup';
  for (const [from, to] of pieces(gpu, rows, 4 * V, bindableRows(...Object.values(tensors)))) {
    const bind = Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [name, rowsOf(tensor, V, from, to)]),
    );
    const R = to - from;
    if (wide) gpu.run(`${kernel}-workgroup`, bind, { R, V, ...params }, { groups: R });
    else gpu.run(kernel, bind, { R, V, ...params }, { groups: ceilDiv(R, 4), consts, unroll: true });
  }
}
