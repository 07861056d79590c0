// What can be done to a thought between the pass that makes it and the pass that takes it: the controls that show
// whether, and in which form, a model uses its thoughts. Knows hidden states; knows no samples and no scoring.
import type { Gpt } from '../model/gpt.ts';
import { pickRows } from '../ops/gather-rows.ts';
import { argmax } from '../ops/sample.ts';
import type { Tape } from '../tape.ts';
import { type Tensor, upload } from '../tensor.ts';

/**
 * - `none`: fed back as it is.
 * - `zero`: nothing is fed back; the column keeps its position.
 * - `shuffle`: every row takes the thought of the next row of its batch.
 * - `snap`: in its place the embedding of the token that it is nearest to, under the model's own head.
 */
export const TAMPERS = ['none', 'zero', 'shuffle', 'snap'] as const;
export type Tamper = (typeof TAMPERS)[number];

/**
 * What is fed back in place of `thought` [B, C]: itself, another tensor [B, C] that the caller frees, or undefined for
 * nothing. Records no gradient. Throws where `shuffle` has one row only.
 */
export function tampered(tape: Tape, model: Gpt, thought: Tensor, how: Tamper): Tensor | undefined {
  const { gpu } = tape;
  const B = thought.shape[0]!;
  switch (how) {
    case 'none':
      return thought;
    case 'zero':
      return undefined;
    case 'shuffle': {
      if (B < 2) throw new Error('shuffle: one row has no other whose thought it could take');
      const next = upload(
        gpu,
        Uint32Array.from({ length: B }, (_, b) => (b + 1) % B),
        [B],
      );
      const swapped = pickRows(gpu, thought, next);
      next.free();
      return swapped;
    }
    case 'snap': {
      const logits = tape.noGrad(() => model.logits(tape, thought));
      const ids = argmax(gpu, logits);
      const snapped = pickRows(gpu, model.parameter('wte.weight'), ids);
      ids.free();
      return snapped;
    }
  }
}
