// Cross-entropy of hidden states under the model's head. Knows rows and target
// tokens; knows no columns, no passes and no batch.
import { add } from '../ops/add.ts';
import { crossEntropy } from '../ops/cross-entropy.ts';
import { gatherAttrs, gatherRows } from '../ops/gather-rows.ts';
import type { Tape } from '../tape.ts';
import { type Tensor, upload } from '../tensor.ts';
import type { Gpt } from './gpt.ts';

/** A row of hidden states and the token that it is to predict, below V. */
export interface Labelled {
  readonly row: number;
  readonly target: number;
}

/**
 * loss [1] = scale times the sum over `labelled` of -log softmax(logits of h[row])[target]; h [R, C], rows all different.
 * `own` keeps a tensor until the backward is over.
 */
export function headLoss(
  tape: Tape,
  model: Gpt,
  h: Tensor,
  labelled: readonly Labelled[],
  scale: number,
  own: (tensor: Tensor) => Tensor,
): Tensor {
  const { gpu } = tape;
  // Logits of a large vocabulary are taken in parts that one binding holds.
  const most = Math.max(1, Math.floor(gpu.limits.maxBinding / (4 * model.config.vocabSize)));
  let loss: Tensor | undefined;
  for (let at = 0; at < labelled.length; at += most) {
    const part = labelled.slice(at, at + most);
    const picked = gatherAttrs(
      gpu,
      Uint32Array.from(part, ({ row }) => row),
      h.shape[0]!,
    );
    own(picked.index);
    own(picked.inverse);
    const logits = model.logits(tape, tape.apply(gatherRows, { x: h }, picked));
    const targets = own(
      upload(
        gpu,
        Uint32Array.from(part, ({ target }) => target),
        [part.length],
      ),
    );
    const partLoss = tape.apply(crossEntropy, { logits }, { targets, scale });
    loss = loss ? tape.apply(add, { a: loss, b: partLoss }, undefined) : partLoss;
  }
  if (!loss) throw new Error('head loss: no row is labelled');
  return loss;
}
