// The process of one engine: node child.ts ENGINE ADAPTER, started by remote.ts and asked by messages.
import type { AdapterChoice } from '../../src/platform/node.ts';
import { Cannot, type Engine, type Prepared } from './engine.ts';
import type { EngineName } from './names.ts';
import type { Answers, Reply, Request } from './protocol.ts';
import type { Work, WorkOf } from './work.ts';

const [name, choice] = process.argv.slice(2) as [EngineName, AdapterChoice];

let engine: Engine | undefined;
let prepared: Prepared | undefined;

process.on('disconnect', () => process.exit());
process.on('message', async (request: Request) => {
  let reply: Reply;
  try {
    reply = { ok: true, answer: await answer(request) };
  } catch (error) {
    const message = String(error instanceof Error ? error.message : error).split('\n')[0]!;
    reply = { ok: false, cannot: error instanceof Cannot, message };
  }
  process.send!(reply);
});

async function answer(request: Request): Promise<Answers[keyof Answers]> {
  switch (request.do) {
    case 'open': {
      engine = await (await import(`./${name}/engine.ts`)).open(choice);
      return { adapter: engine!.adapter };
    }
    case 'prepare': {
      const start = performance.now();
      prepared = await prepare(engine!, request.work);
      const results = await prepared.results();
      return { results, note: prepared.note ?? '', ms: performance.now() - start };
    }
    case 'time': {
      const start = performance.now();
      for (let i = 0; i < request.calls; i++) await prepared!.call();
      await engine!.finish();
      return { ms: (performance.now() - start) / request.calls };
    }
    case 'free':
      await prepared?.free();
      prepared = undefined;
      await engine!.finish();
      return {};
  }
}

function prepare<O extends Work['op']>({ prepare }: Engine, work: WorkOf<O>): Prepared | Promise<Prepared> {
  return (prepare[work.op as O] as (work: WorkOf<O>) => Prepared | Promise<Prepared>)(work);
}
