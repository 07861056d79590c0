// The latent recurrence's own op: a row's last hidden state becomes its next input embedding.

import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { copy } from './fill.ts';
import { COLS, ceilDiv, expectShape, expectSize, widthOf } from './launch.ts';

type Inputs = { embedded: Tensor; hidden: Tensor };
/** mask: u32 [B], not 0 where the row thinks on at this column; elsewhere it reads its own token. */
type Attrs = { mask: Tensor };

/** y[b] = embedded[b] + (mask[b] ? hidden[b] : 0). embedded, hidden, y [B, C]. */
export const feedback: Op<Inputs, Attrs> = {
  name: 'feedback',

  forward(gpu, { embedded, hidden }, { mask }) {
    const C = widthOf(embedded);
    const B = embedded.size / C;
    expectShape('feedback', 'hidden', hidden, embedded.shape);
    expectSize('feedback', 'mask', mask, B);
    const output = empty(gpu, embedded.shape);
    gpu.run(
      'feedback',
      { embedded, hidden, mask, y: output },
      { B, C },
      { groups: ceilDiv(B * ceilDiv(C, COLS), 16) },
    );
    return { output, saved: {} };
  },

  // y[b] = embedded[b] + (mask[b] ? hidden[b] : 0)
  backward(gpu, { attrs: { mask } }, dOutput, d) {
    if (d.embedded) copy(dOutput, d.embedded.tensor, d.embedded.beta);
    if (!d.hidden) return;
    const C = widthOf(dOutput);
    const B = dOutput.size / C;
    const bind = { dy: dOutput, mask, dhidden: d.hidden.tensor };
    gpu.run(
      'feedback-backward',
      bind,
      { B, C, beta: d.hidden.beta },
      { groups: ceilDiv(B * ceilDiv(C, COLS), 16) },
    );
  },
};
