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

/** Logits of a large vocabulary are taken in parts of so many bytes, whatever the device could bind. */
const LOGITS_BYTES = 2 ** 27;

/**
 * loss [1] = scale times the sum over `labelled` of -log softmax(logits of h[row])[target]; h [R, C], rows all different.
 * `own` keeps a tensor until the backward is over.
 *
 * Logits that are more than one part are never all there: each part is computed, summed up and freed, and computed once
 * more in the backward pass. That is a fourth product of the head beside three, where keeping them and their gradients
 * would take 13 GB for 32 rows of 1,024 columns and GPT-2's 50,257 tokens.
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
  const bytes = Math.min(gpu.limits.maxBinding, LOGITS_BYTES);
  const most = Math.max(1, Math.floor(bytes / (4 * model.config.vocabSize)));
  const parts = Array.from({ length: Math.ceil(labelled.length / most) }, (_, i) =>
    labelled.slice(i * most, (i + 1) * most),
  );
  if (parts.length === 0) throw new Error('head loss: no row is labelled');
  return parts
    .map(part => {
      const loss = partLoss(tape, model, h, part, scale, own);
      return parts.length === 1 ? loss(true) : tape.recompute(loss);
    })
    .reduce((a, b) => tape.apply(add, { a, b }, undefined));
}

/** The loss of some labelled rows, as work that may be done twice: only the second time its gradient is wanted too. */
function partLoss(
  tape: Tape,
  model: Gpt,
  h: Tensor,
  labelled: readonly Labelled[],
  scale: number,
  own: (tensor: Tensor) => Tensor,
): (gradient: boolean) => Tensor {
  const { gpu } = tape;
  const picked = gatherAttrs(
    gpu,
    Uint32Array.from(labelled, ({ row }) => row),
    h.shape[0]!,
  );
  own(picked.index);
  own(picked.inverse);
  const targets = own(
    upload(
      gpu,
      Uint32Array.from(labelled, ({ target }) => target),
      [labelled.length],
    ),
  );
  return gradient => {
    const logits = model.logits(tape, tape.apply(gatherRows, { x: h }, picked));
    return tape.apply(crossEntropy, { logits }, { targets, scale, gradient });
  };
}
