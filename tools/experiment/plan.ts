// How long cells will take, and which of them still fit into a budget. Knows cells and times; knows no clock.

/** What is known of a cell's time before it runs. */
export interface Timed {
  readonly id: string;
  readonly arm: string;
  /** As declared. */
  readonly minutes: number;
}

/** A cell that has run. */
export interface Ran {
  readonly arm: string;
  readonly minutes: number;
  readonly seconds: number;
}

/**
 * Seconds that a cell will take: the mean of its arm's cells so far, or what is declared, by as much longer or shorter
 * as those that have run were.
 */
export function estimate(cell: Timed, ran: readonly Ran[]): number {
  const own = ran.filter(({ arm }) => arm === cell.arm);
  if (own.length > 0) return sum(own.map(({ seconds }) => seconds)) / own.length;
  const declared = 60 * sum(ran.map(({ minutes }) => minutes));
  const pace = declared > 0 ? sum(ran.map(({ seconds }) => seconds)) / declared : 1;
  return 60 * cell.minutes * pace;
}

export function estimateAll(cells: readonly Timed[], ran: readonly Ran[]): number {
  return sum(cells.map(cell => estimate(cell, ran)));
}

/** Where a cell that starts from another stands: only after it. */
export interface Dependent extends Timed {
  readonly from?: { readonly id: string } | null;
}

/**
 * The next of `left` to be started, or undefined where none fits into the `seconds` that remain. A cell whose
 * prerequisite is left too waits for it, and so does a prerequisite that would leave no time for what needs it.
 */
export function next<C extends Dependent>(
  left: readonly C[],
  ran: readonly Ran[],
  seconds: number,
): C | undefined {
  const ids = new Set(left.map(({ id }) => id));
  return left.find(cell => {
    if (cell.from && ids.has(cell.from.id)) return false;
    const needing = left.filter(({ from }) => from?.id === cell.id).map(other => estimate(other, ran));
    const shortest = needing.length > 0 ? Math.min(...needing) : 0;
    return estimate(cell, ran) + shortest <= seconds;
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
