// How a run shows itself while it trains: a bar on a terminal, plain lines elsewhere. Knows formats only; what
// it shows is given, where it goes is a function, and it looks at no clock.
import type { Measure } from './metrics.ts';
import { bytes, duration, group, significant } from './results.ts';

export interface ProgressState {
  readonly arm: string;
  readonly step: number;
  readonly stage: number;
  readonly lastStage: number;
  /** Share of this arm that is done, 0 to 1: exact with a known end, else the caller's best estimate. */
  readonly done: number;
  readonly loss: number;
  /** What the last validation saw; null before the first. */
  readonly valid: Measure | null;
  readonly tokensPerSecond: number;
  /** Share of the adapter's measured ceiling, 0 to 1. */
  readonly ceilingShare: number | null;
  readonly liveBytes: number;
  readonly peakBytes: number;
  /** Of a run with `--storage f16`. */
  readonly lossScale?: number;
  readonly skippedSteps?: number;
  /** null where the end is not known. */
  readonly secondsLeft: number | null;
}

/** Seconds left when a share `done` took `elapsed` seconds; null before anything is done. */
export function secondsLeft(done: number, elapsed: number): number | null {
  return done > 0 ? (elapsed * Math.max(0, 1 - done)) / done : null;
}

/** The state in words, most telling first, so that a narrow terminal loses the least. */
export function progressParts(state: ProgressState): string[] {
  const ceiling =
    state.ceilingShare === null ? '' : ` (${(100 * state.ceilingShare).toFixed(0)}% of ceiling)`;
  return [
    `${state.arm} stage ${state.stage}/${state.lastStage}`,
    `step ${group(state.step)}`,
    `loss ${significant(state.loss, 3)}`,
    `valid ${measured(state.valid)}`,
    `${compact(state.tokensPerSecond)} tok/s${ceiling}`,
    `${bytes(state.liveBytes)}, peak ${bytes(state.peakBytes)}`,
    ...(state.lossScale === undefined ? [] : [scaleSaid(state.lossScale, state.skippedSteps ?? 0)]),
    ...(state.secondsLeft === null ? [] : [`ETA ${duration(state.secondsLeft)}`]),
  ];
}

function scaleSaid(scale: number, skipped: number): string {
  return `loss scale ${group(scale)}, ${skipped === 1 ? '1 step' : `${group(skipped)} steps`} skipped`;
}

/** Exact match, or the loss of a token. */
function measured(valid: Measure | null): string {
  if (valid === null) return '–';
  return valid.kind === 'validation' ? valid.accuracy.toFixed(3) : `loss ${significant(valid.loss, 4)}`;
}

/** One plain line, without its line break. */
export function formatLine(state: ProgressState): string {
  return progressParts(state).join(' · ');
}

/** A bar and what fits beside it, never longer than `columns` - 1 (a full last column would wrap). */
export function formatBar(state: ProgressState, columns: number): string {
  const room = Math.max(0, columns - 1);
  const width = Math.min(24, Math.floor(room / 4));
  const eighths = Math.round(Math.min(1, Math.max(0, state.done)) * width * 8);
  const full = Math.floor(eighths / 8);
  const partial = eighths % 8 === 0 ? '' : '▏▎▍▌▋▊▉'[(eighths % 8) - 1];
  const bar = `${'█'.repeat(full)}${partial}`.padEnd(width, '░');
  const percent = `${Math.floor(100 * Math.min(1, Math.max(0, state.done)))}%`.padStart(4);
  let line = `${bar}${percent}`;
  for (const part of progressParts(state)) {
    if (line.length + part.length + 3 > room) break;
    line += `${line.endsWith('%') ? '  ' : ' · '}${part}`;
  }
  return line.slice(0, room);
}

/** 12345 → "12.3k" */
function compact(value: number): string {
  if (value >= 999_500) return `${significant(value / 1e6, 3)}M`;
  return value >= 999.5 ? `${significant(value / 1e3, 3)}k` : significant(value, 3);
}

export interface ProgressOptions {
  /** The stream's width in columns, asked at each draw; undefined where the output is no terminal. */
  readonly columns: () => number | undefined;
  /** Without a terminal: steps between lines. A new arm, stage or validation is always shown. */
  readonly every: number;
}

/** Keeps one bar at the foot of a terminal, or writes plain lines. */
export class Progress {
  readonly #write: (text: string) => void;
  readonly #options: ProgressOptions;
  #drawn = '';
  #last: ProgressState | undefined;

  constructor(write: (text: string) => void, options: ProgressOptions) {
    this.#write = write;
    this.#options = options;
  }

  update(state: ProgressState): void {
    const columns = this.#options.columns();
    if (columns !== undefined) {
      this.#drawn = formatBar(state, columns);
      this.#write(`\r\x1b[2K${this.#drawn}`);
    } else if (state.step % this.#options.every === 0 || this.#news(state)) {
      this.#write(`${formatLine(state)}\n`);
    }
    this.#last = state;
  }

  /** A line of its own; the bar goes on below it. */
  message(text: string): void {
    this.#write(this.#drawn === '' ? `${text}\n` : `\r\x1b[2K${text}\n${this.#drawn}`);
  }

  /** Leaves the last bar standing and the cursor on a fresh line. */
  close(): void {
    if (this.#drawn !== '') this.#write('\n');
    this.#drawn = '';
  }

  #news(state: ProgressState): boolean {
    const last = this.#last;
    return (
      last === undefined ||
      last.arm !== state.arm ||
      last.stage !== state.stage ||
      measured(last.valid) !== measured(state.valid)
    );
  }
}
