// The worker: takes the page's requests one after another, so that nothing it computes blocks the page. Knows messages;
// what they mean is engine.ts's.
import { UserError } from '../../errors.ts';
import { GpuLostError, GpuOutOfMemoryError } from '../../gpu/errors.ts';
import { openWebGpu } from '../../platform/web.ts';
import { Engine } from './engine.ts';
import type { FailureKind, FromWorker, ToWorker } from './protocol.ts';

const engine = new Engine(
  async () => (await openWebGpu()).gpu,
  message => say({ lost: message || 'no reason given' }),
);
let last: Promise<void> = Promise.resolve();

// For the console of the browser's tools, and for tests.
Object.assign(globalThis, { engine });

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  last = last.then(async () => {
    try {
      say({ id: data.id, gives: await answer(data) });
    } catch (error) {
      say({ id: data.id, ...failureOf(error) });
    }
  });
});

function answer(request: ToWorker): unknown {
  switch (request.kind) {
    case 'open':
      return engine.open();
    case 'load':
      return engine.load(request.needs);
    case 'unload':
      return engine.unload(request.needs);
    case 'ask':
      return engine.ask(request.needs);
    case 'score':
      return engine.score(request.needs);
  }
}

function failureOf(error: unknown): { failure: FailureKind; message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UserError) return { failure: 'given', message };
  if (error instanceof GpuLostError) return { failure: 'lost', message };
  if (error instanceof GpuOutOfMemoryError) return { failure: 'memory', message };
  console.error(error);
  return { failure: 'fault', message };
}

function say(message: FromWorker): void {
  postMessage(message);
}
