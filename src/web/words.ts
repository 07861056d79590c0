// Figures and names in words. Knows nothing else.
import type { Mode } from '../data/curriculum.ts';
import type { ControlName } from '../eval/control.ts';

export function bytes(count: number): string {
  return `${(count / 2 ** 20).toFixed(1)} MiB`;
}

export function milliseconds(value: number): string {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** What a model of each mode does between question and answer. */
export const WAYS: Readonly<Record<Mode, string>> = {
  coconut: 'thinks in vectors',
  cot: 'writes its steps',
  'no-cot': 'answers at once',
  'no-thought': 'stopped writing its steps',
  pause: 'pauses instead of thinking',
  'no-curriculum': 'thinks, never saw steps',
  icot: 'stopped writing, word by word',
};

/** How each control is called on the page, what it does, and how a sentence about it begins. */
export const CONTROL_WORDS: Readonly<
  Record<ControlName, { readonly name: string; readonly does: string; readonly clause: string }>
> = {
  none: { name: 'keep', does: 'fed back as they are', clause: 'With its thoughts kept' },
  'no-latent': {
    name: 'remove',
    does: 'no thoughts at all, the answer at once',
    clause: 'With its thoughts removed',
  },
  zero: {
    name: 'blank',
    does: 'the same columns, with nothing in them',
    clause: 'With its thoughts blanked',
  },
  noise: {
    name: 'noise',
    does: 'random vectors of the same length',
    clause: 'With noise for thoughts',
  },
  shuffle: {
    name: 'shuffle',
    does: "another question's thoughts",
    clause: "With another question's thoughts",
  },
  snap: {
    name: 'snap',
    does: 'each replaced by the token nearest to it',
    clause: 'With its thoughts snapped to tokens',
  },
};

/** All of them, in the order of the page. */
export const CONTROLS = Object.keys(CONTROL_WORDS) as ControlName[];
