// The page's side of the worker: requests as promises. Knows messages; knows nothing of what they ask for.
import { Failure, type FromWorker, type Kind, type Requests, type ToWorker } from './protocol.ts';

/** What happens to the engine without anybody having asked. */
export interface EngineEvents {
  /** The device is gone; what was loaded is still known to the worker. */
  lost(message: string): void;
  /** The worker is gone, and all that it had with it; the next call starts another. */
  stopped(message: string): void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(reason: Failure): void;
}

export class EngineClient {
  readonly #makeWorker: () => Worker;
  readonly #events: EngineEvents;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #next = 1;

  /** `makeWorker` is called by the first call, and by the first after a worker that stopped. */
  constructor(makeWorker: () => Worker, events: EngineEvents) {
    this.#makeWorker = makeWorker;
    this.#events = events;
  }

  /** Rejects with a Failure. */
  call<K extends Kind>(kind: K, needs: Requests[K]['needs']): Promise<Requests[K]['gives']> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#worker ??= this.#start();
      this.#waiting.set(id, { resolve: value => resolve(value as Requests[K]['gives']), reject });
      this.#worker.postMessage({ id, kind, needs } as ToWorker);
    });
  }

  #start(): Worker {
    const worker = this.#makeWorker();
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      if ('lost' in data) return this.#events.lost(data.lost);
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('failure' in data) waiting?.reject(new Failure(data.failure, data.message));
      else waiting?.resolve(data.gives);
    });
    worker.addEventListener('error', ({ message }) => {
      if (this.#worker === worker) this.#stopped(worker, message);
    });
    return worker;
  }

  /** A worker whose script could not be loaded takes messages and never answers: it is given up, not waited for. */
  #stopped(worker: Worker, why: string): void {
    worker.terminate();
    this.#worker = undefined;
    const message = `the page's worker stopped${why ? ` (${why})` : ''}: try again, or reload the page`;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#events.stopped(message);
    for (const { reject } of waiting) reject(new Failure('fault', message));
  }
}
