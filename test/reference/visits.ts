// In which order the reference computes the columns of a row, and what each run of a column sees. Knows tokens and
// latents; knows no numbers.

/** One run of a column: in parallel iteration a latent column is run several times. */
export interface Visit {
  readonly t: number;
  /** The visits whose keys and values it sees, in the order of their columns, itself last. */
  readonly sees: readonly number[];
  /** The visit whose hidden state it takes as its input; undefined where it takes its token's embedding. */
  readonly from: number | undefined;
  /** Its keys, values and hidden state are constants to everything after it. */
  readonly constant: boolean;
}

export interface VisitOptions {
  /** Parallel iterations; undefined: one latent after another. */
  readonly iterations: number | undefined;
  /** So many iterations, or latents, the last ones, carry gradients. */
  readonly window: number | 'full';
  /** Every iteration runs every latent, also those whose input cannot have changed: the same values for more work. */
  readonly complete?: boolean | undefined;
}

/**
 * The visits of a row whose real columns are `columns`, with latents in those that `isLatent` names (side by side).
 * One after another, each latent takes the hidden state of the column before it. In parallel, iteration i runs all
 * latents, each from the hidden state that the column before it had after iteration i - 1; in the first, all but the
 * first latent take their own token's embedding instead. Iteration i leaves out the latents before the i-th, whose input
 * is what it was: that matters only where gradients are cut, as what they gave stays what it is, constant or not.
 */
export function visitsOf(
  columns: readonly number[],
  isLatent: (t: number) => boolean,
  { iterations, window, complete = false }: VisitOptions,
): Visit[] {
  const latents = columns.filter(isLatent);
  const n = latents.length;
  const rounds = iterations === undefined ? n : Math.min(iterations, n);
  const visits: Visit[] = [];
  let latest = new Map<number, number>();
  const visit = (t: number, from: number | undefined, constant = false): void => {
    const earlier = columns.filter(s => s < t).map(s => latest.get(s)!);
    visits.push({ t, sees: [...earlier, visits.length], from, constant });
    latest.set(t, visits.length - 1);
  };
  for (const t of columns) if (n === 0 || t < latents[0]!) visit(t, undefined);
  for (let i = 0; i < rounds; i++) {
    const before = latest;
    latest = new Map(latest);
    const constant = window !== 'full' && i < rounds - window;
    const run = iterations === undefined ? [latents[i]!] : latents.slice(complete ? 0 : i);
    for (const t of run) visit(t, i === 0 && t !== latents[0] ? undefined : before.get(t - 1), constant);
  }
  for (const t of columns) if (n > 0 && t > latents.at(-1)!) visit(t, undefined);
  return visits;
}
