// GELU in the tanh form that GPT-2 uses (`gelu_new`): Hendrycks & Gimpel 2016, section 2.

import { runFlat } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';

type Inputs = { x: Tensor };

/** y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))), elementwise; any shape. */
export const gelu: Op<Inputs, undefined> = {
  name: 'gelu',

  forward(gpu, { x }) {
    const output = empty(gpu, x.shape, x.dtype);
    runFlat(gpu, 'gelu', { x, y: output }, (_, count) => ({ count }));
    return { output, saved: {} };
  },

  // y = x s(2u(x)) with the logistic s: dx = dy (s + x s (1 - s) 2u'), recomputed from x rather than saved.
  backward(gpu, { inputs }, dOutput, d) {
    if (!d.x) return;
    const { tensor, beta } = d.x;
    runFlat(
      gpu,
      'gelu-backward',
      { x: inputs.x, dy: dOutput, dx: tensor },
      (_, count) => ({ count }),
      {},
      { ADD: beta === 1 },
    );
  },
};
