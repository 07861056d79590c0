// A text as rows for a language model: windows of its tokens, side by side. Knows tokens; knows no tokenizer, no
// curriculum, and no order in which the windows are learnt.
import type { Row } from './batch.ts';

/** A text cut into rows of `columns` tokens, at least 2. */
export interface Windows {
  readonly tokens: readonly number[];
  readonly columns: number;
}

/** Every token but the first is predicted in exactly one window, so a window begins with the last token of the one before. */
export function windowCount({ tokens, columns }: Windows): number {
  return Math.max(0, Math.ceil((tokens.length - 1) / (columns - 1)));
}

/** Window `index`: every column labelled, no latents. The last one is as short as what is left. */
export function windowAt({ tokens, columns }: Windows, index: number): Row {
  const start = index * (columns - 1);
  const row = tokens.slice(start, start + columns);
  return { tokens: row, labels: row, latentStart: -1, latents: 0 };
}

/** Tokens that a window predicts: the label of its first column has no column before it. */
export function predictedIn({ labels }: Row): number {
  return labels.length - 1;
}
