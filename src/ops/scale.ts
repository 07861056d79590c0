// Multiplication by one number: what brings a hidden state to the length of a token's embedding.
import { runFlat } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { expectSize } from './launch.ts';

type Inputs = { x: Tensor };

export interface ScaleAttrs {
  /** [1]. It takes no gradient. */
  readonly factor: Tensor;
}

/** y = factor · x, elementwise; any shape. */
export const scale: Op<Inputs, ScaleAttrs> = {
  name: 'scale',

  forward(gpu, { x }, { factor }) {
    expectSize('scale', 'factor', factor, 1);
    const output = empty(gpu, x.shape, x.dtype);
    runFlat(gpu, 'scale', { x, y: output }, (_, count) => ({ count }), { factor });
    return { output, saved: {} };
  },

  // y = factor x: dx = factor dy.
  backward(gpu, { attrs: { factor } }, dOutput, d) {
    if (!d.x) return;
    const { tensor, beta } = d.x;
    runFlat(
      gpu,
      'scale',
      { x: dOutput, y: tensor },
      (_, count) => ({ count }),
      { factor },
      { ADD: beta === 1 },
    );
  },
};
