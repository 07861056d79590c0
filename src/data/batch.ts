// Rows to batches: which column of which batch row holds which token. Knows alignment and padding; knows no task, no
// curriculum and no vocabulary. All arrays are time-major: column t of row b is at t·B + b.

/** The label of a column that is not learnt. */
export const UNLABELLED = -100;

/** One training sample as tokens. */
export interface Row {
  readonly tokens: readonly number[];
  /** As long as `tokens`, unshifted (the label of column t is predicted at column t - 1); -100 = none. */
  readonly labels: readonly number[];
  /** Index of the first latent, -1 without latents. Latent columns hold the latent token's id. */
  readonly latentStart: number;
  readonly latents: number;
  /** Of each latent: the tokens of the reasoning step that it stands for, none where there is no such step. */
  readonly steps?: readonly (readonly number[])[];
  /** Columns that hold the latent token too, but read it like any other: pauses, of which nothing is fed back. */
  readonly pauses?: { readonly start: number; readonly count: number };
}

/** Columns of a prompt that say nothing: latents, or pauses in their place. They count as generated tokens. */
export function silentIn({ latents, pauses }: Prompt): number {
  return latents + (pauses?.count ?? 0);
}

/** What comes before the text that the model is to write; a Row without labels. */
export type Prompt = Omit<Row, 'labels' | 'steps'>;

export interface Batch {
  readonly B: number;
  readonly T: number;
  /** [T·B] */
  readonly ids: Uint32Array;
  /** [T·B], counted from the first real token; 0 on left pads. */
  readonly positions: Uint32Array;
  /** [T·B], unshifted, -100 = none. */
  readonly labels: Int32Array;
  /** [B], the first real column: the number of left pads. */
  readonly first: Uint32Array;
  /** L0, the column of every row's first latent; T when there are none. */
  readonly latentStart: number;
  /** [B] */
  readonly latents: Uint32Array;
  /** [B], as the rows have them; undefined where none does. */
  readonly steps?: readonly (readonly (readonly number[])[])[];
}

/**
 * A training batch. Rows are padded on the left until their first latents share column L0, the lowest possible;
 * rows without latents get no left pad. All are padded on the right to the longest, or to the next multiple of
 * `multiple` (fewer different lengths, at the price of columns computed for nothing).
 */
export function collate(rows: readonly Row[], padId: number, { multiple = 1 } = {}): Batch {
  if (rows.length === 0) throw new Error('collate: a batch needs at least one row');
  for (const row of rows) checkRow(row, row.labels.length);
  const start = Math.max(-1, ...rows.map(row => row.latentStart));
  const first = rows.map(row => (row.latents === 0 ? 0 : start - row.latentStart));
  const longest = Math.max(...rows.map((row, b) => first[b]! + row.tokens.length));
  return place(rows, first, Math.ceil(longest / multiple) * multiple, padId, start);
}

/**
 * A batch to go on from: every prompt ends in the last column, so that generation appends one column to all rows.
 * Latents are aligned too, which needs prompts with one number of latents and one number of tokens after them.
 */
export function collatePrompts(prompts: readonly Prompt[], padId: number): Batch {
  if (prompts.length === 0) throw new Error('collatePrompts: a batch needs at least one prompt');
  for (const prompt of prompts) checkRow(prompt, prompt.tokens.length);
  const longest = Math.max(...prompts.map(prompt => prompt.tokens.length));
  const first = prompts.map(prompt => longest - prompt.tokens.length);
  const start = prompts[0]!.latents === 0 ? -1 : first[0]! + prompts[0]!.latentStart;
  for (const [b, { latents, latentStart }] of prompts.entries()) {
    if (latents !== prompts[0]!.latents || (latents > 0 && first[b]! + latentStart !== start)) {
      throw new Error(
        'collatePrompts: latents are not aligned, group the prompts by their number of latents',
      );
    }
  }
  return place(prompts, first, longest, padId, start);
}

/** Rows of one number of latents, and where each came from. */
export interface LatentGroup<R> {
  readonly latents: number;
  readonly rows: readonly R[];
  /** Of each row: its index in the list that was grouped. */
  readonly indices: readonly number[];
}

/**
 * Groups by the number of latents, fewest first; order within a group is kept. A finite truncation window and
 * generation need groups: both speak of the last latent column, which must be the same for all rows.
 */
export function groupByLatents<R extends Prompt>(rows: readonly R[]): LatentGroup<R>[] {
  const groups = new Map<number, { rows: R[]; indices: number[] }>();
  for (const [index, row] of rows.entries()) {
    const group = groups.get(row.latents) ?? { rows: [], indices: [] };
    group.rows.push(row);
    group.indices.push(index);
    groups.set(row.latents, group);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([latents, group]) => ({ latents, ...group }));
}

function checkRow(row: Prompt, labels: number): void {
  const { tokens, latents, latentStart } = row;
  if (tokens.length === 0 || labels !== tokens.length) {
    throw new Error(`collate: a row of ${tokens.length} tokens and ${labels} labels`);
  }
  // A latent is made from the column before it, so column 0 cannot be one.
  const fits = latents > 0 ? latentStart >= 1 && latentStart + latents <= tokens.length : latentStart === -1;
  if (!fits) throw new Error(`collate: ${latents} latents from ${latentStart} in a row of ${tokens.length}`);
}

function place(
  rows: readonly (Prompt & Partial<Pick<Row, 'labels' | 'steps'>>)[],
  first: readonly number[],
  T: number,
  padId: number,
  latentStart: number,
): Batch {
  const B = rows.length;
  const ids = new Uint32Array(T * B).fill(padId);
  const positions = new Uint32Array(T * B);
  const labels = new Int32Array(T * B).fill(UNLABELLED);
  for (const [b, row] of rows.entries()) {
    for (let t = first[b]!; t < T; t++) {
      const at = t - first[b]!;
      // Right pads get no position beyond the row: a row that fits the model must not stop fitting in company.
      positions[t * B + b] = Math.min(at, row.tokens.length - 1);
      if (at >= row.tokens.length) continue;
      ids[t * B + b] = row.tokens[at]!;
      if (row.labels) labels[t * B + b] = row.labels[at]!;
    }
  }
  return {
    B,
    T,
    ids,
    positions,
    labels,
    first: Uint32Array.from(first),
    latentStart: latentStart === -1 ? T : latentStart,
    latents: Uint32Array.from(rows, row => row.latents),
    ...(rows.some(row => row.steps) && { steps: rows.map(row => row.steps ?? []) }),
  };
}
