// What the bench's page and the process that opened it tell each other; all of it passes through JSON. Knows rows; knows
// neither side.
import type { Ceilings } from '../../src/train/ceiling.ts';
import type { Narrowed } from '../plan.ts';
import type { BenchRow } from '../rows.ts';

export interface Task {
  readonly narrowed: Narrowed;
  /** WGSL texts by kernel name. */
  readonly shaders: readonly (readonly [name: string, text: string])[];
}

/** Told while a task runs. */
export type Progress =
  | { readonly kind: 'opened'; readonly summary: string }
  | { readonly kind: 'ceilings'; readonly ceilings: Ceilings; readonly timestamps: boolean }
  | { readonly kind: 'row'; readonly row: BenchRow }
  | { readonly kind: 'skipped'; readonly why: string };

export interface Measured {
  /** What the adapter calls itself. */
  readonly adapter: string;
  readonly summary: string;
  readonly ceilings: Ceilings;
  readonly rows: readonly BenchRow[];
}

/** A fault that is not the bench's own: of the flags, of a kernel, of the device. */
export interface Refused {
  readonly fault: string;
  /** A shader's compile error, which quotes lines of its file. */
  readonly compile: boolean;
}

declare global {
  interface Window {
    /** The page's: called once. Rejects with faults of the bench itself. */
    runTask(task: Task): Promise<Measured | Refused>;
    /** The opener's. */
    tell(progress: Progress): Promise<void>;
  }
}
