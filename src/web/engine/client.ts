// The page's side of the worker: requests as promises. Knows messages; knows nothing of what they ask for.
import { Failure, type FromWorker, type Kind, type Requests, type ToWorker } from './protocol.ts';

interface Waiting {
  resolve(value: unknown): void;
  reject(reason: Failure): void;
}

export class EngineClient {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;

  /** `lost` is told when the device is gone. */
  constructor(worker: Worker, lost: (message: string) => void) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      if ('lost' in data) return lost(data.lost);
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('failure' in data) waiting?.reject(new Failure(data.failure, data.message));
      else waiting?.resolve(data.gives);
    });
    worker.addEventListener('error', event => {
      const failure = new Failure('fault', event.message || 'the worker could not be started');
      for (const { reject } of this.#waiting.values()) reject(failure);
      this.#waiting.clear();
    });
  }

  /** Rejects with a Failure. */
  call<K extends Kind>(kind: K, needs: Requests[K]['needs']): Promise<Requests[K]['gives']> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: value => resolve(value as Requests[K]['gives']), reject });
      this.#worker.postMessage({ id, kind, needs } as ToWorker);
    });
  }
}
