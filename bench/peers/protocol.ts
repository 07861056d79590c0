// What the bench and an engine's process say to each other. Each engine has a process of its own: one that crashes
// ends alone, and none shares a device or a heap with another.
import type { AdapterName } from '../results.ts';
import type { Results } from './engine.ts';
import type { Work } from './work.ts';

export type Request =
  | { readonly do: 'open' }
  /** Prepares the work and does it once. */
  | { readonly do: 'prepare'; readonly work: Work }
  /** Does the work that is prepared `calls` times and waits for the last. */
  | { readonly do: 'time'; readonly calls: number }
  | { readonly do: 'free' };

export interface Answers {
  readonly open: { readonly adapter: AdapterName | undefined };
  readonly prepare: { readonly results: Results; readonly note: string; readonly ms: number };
  /** Milliseconds a call. */
  readonly time: { readonly ms: number };
  readonly free: object;
}

/** The message of a fault; `cannot` where the engine has no way to do the work. */
export type Reply =
  | { readonly ok: true; readonly answer: Answers[keyof Answers] }
  | { readonly ok: false; readonly cannot: boolean; readonly message: string };
