// What one model of a run may be. Knows modes; knows no options and no folder.
import { FORMS, MODES } from '../data/curriculum.ts';

/** A model that answers questions, in a mode, or one that goes on with a text. */
export const ARMS = [...MODES, 'lm'] as const;
export type Arm = (typeof ARMS)[number];

/** Whether a model of this arm takes hidden states back as thoughts. */
export function feedsBack(arm: Arm): boolean {
  return arm !== 'lm' && FORMS[arm].instead === 'latents';
}
