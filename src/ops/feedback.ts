// The latent recurrence's own op: a row's last hidden state becomes its next input embedding.

import { copy } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { COLS, ceilDiv, expectSize, widthOf } from './launch.ts';

type Inputs = { embedded: Tensor; hidden: Tensor };
/** mask: u32 [B], not 0 where the row thinks on at this column; elsewhere it reads its own token. */
type Attrs = { mask: Tensor };

/**
 * y[r] = embedded[r] + (r < B and mask[r] ? hidden[r] : 0): the first of a pass's columns takes the hidden states.
 * embedded, y [M, C] with M >= B, hidden [B, C].
 */
export const feedback: Op<Inputs, Attrs> = {
  name: 'feedback',
  passes: ['embedded'],

  forward(gpu, { embedded, hidden }, { mask }) {
    const C = widthOf(embedded);
    const M = embedded.size / C;
    const B = hidden.size / C;
    if (widthOf(hidden) !== C || B > M)
      throw new Error(
        `feedback: hidden [${hidden.shape}] is not the first rows of embedded [${embedded.shape}]`,
      );
    expectSize('feedback', 'mask', mask, B);
    const output = empty(gpu, embedded.shape);
    gpu.run(
      'feedback',
      { embedded, hidden, mask, y: output },
      { M, B, C },
      { groups: ceilDiv(M * ceilDiv(C, COLS), 16), unroll: true },
    );
    return { output, saved: {} };
  },

  // y[r] = embedded[r] + (r < B and mask[r] ? hidden[r] : 0)
  backward(gpu, { attrs: { mask } }, dOutput, d) {
    if (d.embedded) copy(dOutput, d.embedded.tensor, d.embedded.beta);
    if (!d.hidden) return;
    const C = widthOf(dOutput);
    const B = mask.size;
    const bind = { dy: dOutput, mask, dhidden: d.hidden.tensor };
    gpu.run(
      'feedback-backward',
      bind,
      { B, C, beta: d.hidden.beta },
      { groups: ceilDiv(B * ceilDiv(C, COLS), 16), unroll: true },
    );
  },
};
