// Which prompts run together: generation needs one number of latents and one number of tokens after them in a batch.
// Knows prompts; runs nothing.
import type { Prompt } from '../data/batch.ts';

/** Indices of the prompts of each batch of at most `most` rows, batches as equal as can be; order is kept in each. */
export function partsOf(prompts: readonly Prompt[], most: number): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, { tokens, latents, latentStart }] of prompts.entries()) {
    const key = latents === 0 ? '0' : `${latents} ${tokens.length - latentStart - latents}`;
    const group = groups.get(key) ?? [];
    group.push(index);
    groups.set(key, group);
  }
  return [...groups.values()].flatMap(indices => {
    const parts = Math.ceil(indices.length / most);
    const edge = (part: number): number => Math.floor((part * indices.length) / parts);
    return Array.from({ length: parts }, (_, part) => indices.slice(edge(part), edge(part + 1)));
  });
}

/** Tokens generated from at once in evaluations: enough to fill a device, few enough for its memory. */
const TOKENS = 16_384;

/** Rows evaluated at once for rows of up to `positions` tokens. */
export function evalBatch(positions: number): number {
  return Math.min(512, Math.max(8, Math.floor(TOKENS / positions)));
}
