// Residual addition: two tensors of one shape. (A bias, which repeats over rows, is fused into the linear op.)

import { copy, runFlat } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { expectShape } from './launch.ts';

type Inputs = { a: Tensor; b: Tensor };

/** y = a + b, elementwise; one shape, any rank. */
export const add: Op<Inputs, undefined> = {
  name: 'add',
  passes: ['a', 'b'],

  forward(gpu, { a, b }) {
    expectShape('add', 'b', b, a.shape);
    const output = empty(gpu, a.shape, a.dtype);
    runFlat(gpu, 'add', { a, b, y: output }, (_, count) => ({ count }));
    return { output, saved: {} };
  },

  // y = a + b: each takes the whole gradient.
  backward(_gpu, _context, dOutput, d) {
    if (d.a) copy(dOutput, d.a.tensor, d.a.beta);
    if (d.b) copy(dOutput, d.b.tensor, d.b.beta);
  },
};
