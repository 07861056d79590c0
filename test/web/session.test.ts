// The page's state against an engine that is told when to answer: sizes without a graph, changes of models that meet
// each other and a run, a worker that stops.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { EngineClient, type EngineEvents } from '../../src/web/engine/client.ts';
import {
  Failure,
  type Kind,
  type ModelInfo,
  type Reply,
  type Requests,
  type Score,
  type ToWorker,
} from '../../src/web/engine/protocol.ts';
import { OWN_MODELS, Session } from '../../src/web/session.ts';

const MEMORY = { live: 0, peak: 0 };
const DEVICE = { adapter: 'none', software: true, limits: '' };
const SCORE: Score = { right: 1, tokens: 20, milliseconds: 1, memory: MEMORY };
const REPLY: Reply = {
  columns: [],
  answer: '1',
  right: true,
  written: 2,
  thoughts: [],
  milliseconds: 1,
  compiled: false,
  memory: MEMORY,
};
const infoOf = (name: string): ModelInfo => ({
  name,
  mode: 'coconut',
  parameters: 1,
  thoughts: 3,
  positions: 64,
  words: [...Array(12).keys()].map(String).concat('?'),
});

/** An engine whose answers can be held back, kind by kind. */
class FakeEngine {
  readonly loaded = new Set<string>();
  readonly asked: Requests['ask']['needs'][] = [];
  readonly held = new Map<Kind, (() => void)[]>();
  readonly faults = new Map<Kind, Failure>();
  events!: EngineEvents;

  async call<K extends Kind>(kind: K, needs: Requests[K]['needs']): Promise<Requests[K]['gives']> {
    const held = this.held.get(kind);
    if (held) await new Promise<void>(resolve => held.push(resolve));
    const fault = this.faults.get(kind);
    if (fault) throw fault;
    return this.#answer({ id: 0, kind, needs } as ToWorker) as Requests[K]['gives'];
  }

  #answer(request: ToWorker): unknown {
    switch (request.kind) {
      case 'open':
        return DEVICE;
      case 'load':
        this.loaded.add(request.needs.name);
        return infoOf(request.needs.name);
      case 'unload':
        this.loaded.delete(request.needs.name);
        return undefined;
      case 'ask':
        this.asked.push(request.needs);
        return REPLY;
      case 'score':
        return SCORE;
    }
  }

  hold(kind: Kind): void {
    this.held.set(kind, []);
  }

  release(kind: Kind): void {
    const held = this.held.get(kind)!;
    this.held.delete(kind);
    for (const resolve of held) resolve();
  }
}

function sessionOfTest() {
  const engine = new FakeEngine();
  const session = new Session(
    events => {
      engine.events = events;
      return engine;
    },
    () => {},
  );
  return { engine, session };
}

async function startedSession() {
  const made = sessionOfTest();
  await made.session.start();
  await answered(made.session);
  return made;
}

const names = ({ state }: Session): string[] => state.models.map(({ name }) => name);
const answered = (session: Session) =>
  vi.waitFor(() => expect([...session.state.replies.keys()]).toEqual(names(session)));
/** The three files, as a browser gives those of a folder that was picked, or of none. */
const modelFiles = (folder = ''): File[] =>
  ['config.json', 'model.safetensors', 'tokenizer.json'].map(name =>
    Object.assign(new File(['x'], name), { webkitRelativePath: folder && `${folder}/${name}` }),
  );

/** Lets everything that waits for nothing happen. */
const settled = () => new Promise(resolve => setTimeout(resolve, 20));

const unhandled: unknown[] = [];
const keep = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => {
  vi.stubGlobal('fetch', async () => new Response('x'));
  process.on('unhandledRejection', keep);
});
afterEach(async () => {
  await settled();
  process.off('unhandledRejection', keep);
  vi.unstubAllGlobals();
  expect(unhandled.splice(0)).toEqual([]);
});

describe('sizes that no graph has', () => {
  it.each([
    ['prosqa-mini', 8, 5, /hardly any graph of 8 nodes/],
    ['pointer', 4, 6, /6 hops/],
  ] as const)(
    'are a notice for %s of %i nodes and %i hops, and the question shown is asked on',
    async (task, nodes, hops, says) => {
      const { engine, session } = await startedSession();
      session.resize({ task, nodes: task === 'pointer' ? 8 : 12, hops: 3 });
      await answered(session);
      const { question } = session.state;
      session.resize({ task, nodes, hops });
      expect(session.state.notice).toMatchObject({ kind: 'fault', text: expect.stringMatching(says) });
      expect(session.state.sizes).toEqual({ task, nodes, hops });
      expect(session.state.question).toBe(question);

      for (const change of [
        () => session.think(2),
        () => session.treat('shuffle'),
        () => session.edit({ ...question, edges: question.edges.slice(1) }),
        () => session.write(session.state.text),
        () => session.again(),
      ]) {
        engine.asked.length = 0;
        change();
        await answered(session);
        expect(engine.asked.map(({ model }) => model)).toEqual(expect.arrayContaining([...OWN_MODELS]));
        expect(engine.asked[0]!.other.question).toMatch(task === 'pointer' ? /\? \d+$/ : /\? \d+ \d+ \d+$/);
      }
      await session.run(20);
      expect(session.state.notice?.text).toMatch(/^the run stopped: /);
      expect(session.state.batch?.running).toBe(false);
      session.resize({ task, nodes: 8, hops: 3 });
      expect(session.state.notice).toBeUndefined();
    },
  );
});

describe('a model of the visitor', () => {
  it('dropped while the page still loads its own stands alone', async () => {
    const { engine, session } = sessionOfTest();
    engine.hold('load');
    const started = session.start();
    await settled();
    const dropped = session.loadFiles(modelFiles());
    await settled();
    engine.release('load');
    await Promise.all([started, dropped]);
    await answered(session);
    expect(names(session)).toEqual(['yours']);
    expect([...engine.loaded]).toEqual(['yours']);
    expect(session.state.notice?.text).toMatch(/^yours is loaded/);
  });

  it('that cannot be loaded leaves the page to load its own', async () => {
    const { session } = sessionOfTest();
    const started = session.start();
    await Promise.all([started, session.loadFiles(modelFiles().slice(0, 2))]);
    expect(names(session)).toEqual([...OWN_MODELS]);
    expect(session.state.notice?.text).toBe('tokenizer.json: is not among the files given');
  });

  it('is left for the own ones where going back was the last that was asked for', async () => {
    const { engine, session } = await startedSession();
    await Promise.all([session.loadFiles(modelFiles()), Promise.resolve().then(() => session.restore())]);
    await answered(session);
    expect(names(session)).toEqual([...OWN_MODELS]);
    expect([...engine.loaded].sort()).toEqual([...OWN_MODELS].sort());
  });

  it('is not called as one of the own, whatever its folder is called', async () => {
    const { session } = await startedSession();
    await session.loadFiles(modelFiles('coconut'));
    expect(names(session)).toEqual(['yours']);
  });

  it('that cannot be read where it was dropped is a notice', async () => {
    const { session } = await startedSession();
    await session.loadFiles(Promise.reject(new UserError('a.json: cannot be read')));
    expect(session.state.notice).toEqual({ kind: 'fault', text: 'a.json: cannot be read' });
    expect(names(session)).toEqual([...OWN_MODELS]);
  });

  it('that does not fit into memory is a notice which says what to do, on a question too', async () => {
    const { engine, session } = await startedSession();
    const failure = new Failure('memory', 'a buffer did not fit');
    engine.faults.set('load', failure).set('ask', failure);
    await session.loadFiles(modelFiles());
    const says = /^the device's memory is full \(a buffer did not fit\): close .*, or load a smaller model$/;
    expect(session.state.notice?.text).toMatch(says);
    expect(names(session)).toEqual([...OWN_MODELS]);
    session.again();
    await answered(session);
    expect((session.state.replies.get('coconut') as Failure).message).toMatch(says);
  });
});

describe('a run over many questions', () => {
  it.each([
    ['another model', (session: Session) => session.loadFiles(modelFiles())],
    ["the page's own models", (session: Session) => session.restore()],
  ])('is ended by %s, and does not put its table back', async (_, change) => {
    const { engine, session } = await startedSession();
    await session.loadFiles(modelFiles());
    engine.hold('score');
    const run = session.run(100);
    await settled();
    expect(session.state.batch?.running).toBe(true);
    await change(session);
    expect(session.state.batch).toBeUndefined();
    engine.release('score');
    await run;
    expect(session.state.batch).toBeUndefined();
  });

  it('counts nothing any more once another model is being loaded', async () => {
    const { engine, session } = await startedSession();
    await session.loadFiles(modelFiles());
    engine.hold('score');
    engine.hold('load');
    const run = session.run(100);
    const loaded = session.loadFiles(modelFiles());
    await settled();
    engine.release('score');
    await run;
    expect(session.state.batch).toMatchObject({ running: false });
    expect(session.state.batch!.rows.every(({ done }) => done === 0)).toBe(true);
    engine.release('load');
    await loaded;
  });

  it('that was stopped does not come back when the next one begins', async () => {
    const { engine, session } = await startedSession();
    engine.hold('score');
    const first = session.run(100);
    await settled();
    session.stop();
    expect(session.state.batch).toMatchObject({ count: 100, running: false });
    const second = session.run(40);
    engine.release('score');
    await Promise.all([first, second]);
    expect(session.state.batch).toMatchObject({ count: 40, running: false });
    expect(session.state.batch!.rows.every(({ done }) => done === 40)).toBe(true);
  });
});

describe('a worker that stopped', () => {
  it('that never started is the trouble shown, and the next try starts another', async () => {
    const workers: EventTarget[] = [];
    const engine = new FakeEngine();
    const makeWorker = (): Worker => {
      const works = workers.length > 0;
      const worker = Object.assign(new EventTarget(), {
        async postMessage({ id, kind, needs }: ToWorker): Promise<void> {
          const event = works
            ? new MessageEvent('message', { data: { id, gives: await engine.call(kind, needs) } })
            : new Event('error');
          setTimeout(() => worker.dispatchEvent(event));
        },
        terminate() {},
      });
      workers.push(worker);
      return worker as unknown as Worker;
    };
    const session = new Session(
      events => new EngineClient(makeWorker, events),
      () => {},
    );
    await session.start();
    expect(session.state.phase).toBe('trouble');
    expect(session.state.trouble).toMatch(/^the page's worker stopped: try again/);
    await session.start();
    await answered(session);
    expect(workers).toHaveLength(2);
    expect(session.state.phase).toBe('ready');
    expect(names(session)).toEqual([...OWN_MODELS]);
  });

  it('later takes its models with it, and the page begins anew', async () => {
    const { engine, session } = await startedSession();
    await session.loadFiles(modelFiles());
    engine.hold('score');
    const run = session.run(100);
    engine.loaded.clear();
    engine.events.stopped('it stopped');
    engine.release('score');
    await run;
    expect(session.state).toMatchObject({ phase: 'trouble', trouble: 'it stopped', models: [] });
    expect(session.state.batch).toBeUndefined();
    await session.start();
    await answered(session);
    expect(names(session)).toEqual([...OWN_MODELS]);
  });
});

describe('a device that was lost while models are being loaded', () => {
  it('gets all of them in the end', async () => {
    const { engine, session } = sessionOfTest();
    engine.hold('load');
    const started = session.start();
    await settled();
    engine.faults.set('load', new Failure('lost', 'unplugged'));
    engine.events.lost('unplugged');
    engine.release('load');
    engine.hold('open');
    await started;
    engine.faults.clear();
    engine.release('open');
    await vi.waitFor(() => expect(session.state.notice?.text).toMatch(/and another one opened$/));
    expect(names(session)).toEqual([...OWN_MODELS]);
  });
});
