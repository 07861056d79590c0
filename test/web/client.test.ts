// Requests to the worker as promises: answers, and a worker that stops.
import { describe, expect, it } from 'vitest';
import { EngineClient } from '../../src/web/engine/client.ts';
import { Failure, type FromWorker, type ToWorker } from '../../src/web/engine/protocol.ts';

/** Says what it is told to. */
class FakeWorker extends EventTarget {
  readonly asked: ToWorker[] = [];
  terminated = false;

  postMessage(message: ToWorker): void {
    this.asked.push(message);
  }

  terminate(): void {
    this.terminated = true;
  }

  say(data: FromWorker): void {
    this.dispatchEvent(new MessageEvent('message', { data }));
  }

  /** As a browser does where the script cannot be loaded, or throws. */
  fail(message: string): void {
    this.dispatchEvent(Object.assign(new Event('error'), { message }));
  }
}

function clientOfTest() {
  const workers: FakeWorker[] = [];
  const events: string[] = [];
  const makeWorker = (): Worker => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker as unknown as Worker;
  };
  const client = new EngineClient(makeWorker, {
    lost: message => events.push(`lost: ${message}`),
    stopped: message => events.push(`stopped: ${message}`),
  });
  return { client, workers, events };
}

describe('the client of the worker', () => {
  it('gives each call its own answer or failure, and tells of a lost device', async () => {
    const { client, workers, events } = clientOfTest();
    const calls = ['a', 'b'].map(name => client.call('unload', { name }));
    const [worker] = workers;
    expect(workers).toHaveLength(1);
    const [a, b] = worker!.asked;
    worker!.say({ id: b!.id, failure: 'given', message: 'b: no such model' });
    worker!.say({ id: a!.id, gives: undefined });
    worker!.say({ lost: 'unplugged' });
    await expect(calls[0]).resolves.toBeUndefined();
    await expect(calls[1]).rejects.toEqual(new Failure('given', 'b: no such model'));
    expect(events).toEqual(['lost: unplugged']);
  });

  it.each([
    ['', "the page's worker stopped: try again, or reload the page"],
    ['out of stack', "the page's worker stopped (out of stack): try again, or reload the page"],
  ])(
    'fails what waits for a worker that stopped (%s), and starts another for the next call',
    async (why, says) => {
      const { client, workers, events } = clientOfTest();
      const waiting = client.call('open', undefined);
      workers[0]!.fail(why);
      await expect(waiting).rejects.toEqual(new Failure('fault', says));
      expect(events).toEqual([`stopped: ${says}`]);
      expect(workers[0]!.terminated).toBe(true);

      const again = client.call('unload', { name: 'a' });
      expect(workers).toHaveLength(2);
      // What the first one still says is nobody's.
      workers[0]!.fail('late');
      workers[1]!.say({ id: workers[1]!.asked[0]!.id, gives: undefined });
      await expect(again).resolves.toBeUndefined();
      expect(events).toHaveLength(1);
    },
  );
});
