// What the bench asks of an engine, ours and the others alike. Knows work; knows no engine.
import type { AdapterName } from '../results.ts';
import type { OpName, WorkOf } from './work.ts';

/** Results by name, laid out as in expected.ts. */
export type Results = Readonly<Record<string, Float32Array>>;

/** One piece of work with its inputs on the device. */
export interface Prepared {
  /** What a reader of the row must know of how this engine does the work. */
  readonly note?: string;
  /** Queues the work once. What it makes is freed again, and nothing is waited for that the engine need not wait for. */
  call(): void | Promise<void>;
  /** Does the work once and reads what came out. */
  results(): Promise<Results>;
  free(): void | Promise<void>;
}

export interface Engine {
  /** undefined where the engine does not say which it took. */
  readonly adapter: AdapterName | undefined;
  readonly prepare: { readonly [O in OpName]: (work: WorkOf<O>) => Prepared | Promise<Prepared> };
  /** Waits until the device has done all that was queued. */
  finish(): Promise<void>;
}

/** An engine has no way to do a piece of work; the message says why, in a few words. */
export class Cannot extends Error {
  override name = 'Cannot';
}

/** An adapter's own name for itself, as plain data. */
export function adapterName({ vendor, architecture, device, description }: GPUAdapterInfo): AdapterName {
  return { vendor, architecture, device, description };
}

/**
 * A package of this folder, which need not be installed: so its types are the caller's, and TypeScript must not look
 * for the package itself.
 */
export async function load<T>(name: string): Promise<T> {
  return (await import(name)) as T;
}
