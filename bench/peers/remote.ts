// An engine in its own process, as the bench sees it. Knows the protocol and what a process's end looks like; knows no
// work and no engine.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { AdapterChoice } from '../../src/platform/node.ts';
import type { AdapterName } from '../results.ts';
import { Cannot } from './engine.ts';
import type { EngineName } from './names.ts';
import type { Answers, Reply, Request } from './protocol.ts';
import type { Work } from './work.ts';

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
/** A peer that takes longer over one request will not end. */
const PATIENCE_MS = 180_000;

export class Remote {
  readonly name: EngineName;
  readonly #choice: AdapterChoice;
  #child: ChildProcess | undefined;
  /** Last line on its stderr: why it ended, if it ends. */
  #lastWords = '';
  #givenUp: string | undefined;

  constructor(name: EngineName, choice: AdapterChoice) {
    this.name = name;
    this.#choice = choice;
  }

  /** Starts the process, if none runs, and the engine in it. Throws Cannot. */
  async open(): Promise<AdapterName | undefined> {
    this.#child ??= this.#start();
    return (await this.#ask<'open'>({ do: 'open' })).adapter;
  }

  /** Throws Cannot where the engine has no way to do the work, or fails at it. */
  async prepare(work: Work): Promise<Answers['prepare']> {
    if (this.#givenUp !== undefined) throw new Cannot(this.#givenUp);
    if (!this.#child) await this.open();
    return this.#ask<'prepare'>({ do: 'prepare', work });
  }

  async time(calls: number): Promise<number> {
    return (await this.#ask<'time'>({ do: 'time', calls })).ms;
  }

  async free(): Promise<void> {
    if (this.#child) await this.#ask<'free'>({ do: 'free' });
  }

  /** Stops it for good; all work is then refused for this reason. */
  giveUp(reason: string): void {
    this.stop();
    this.#givenUp = reason;
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  #start(): ChildProcess {
    const child = fork(CHILD, [this.name, this.#choice], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = text.trim().split('\n').at(-1) ?? '';
    });
    child.on('error', () => {}); // A message that cannot be sent: the end that explains it is heard below.
    child.on('close', () => {
      if (this.#child === child) this.#child = undefined;
    });
    return child;
  }

  #ask<K extends Request['do']>(request: Request & { readonly do: K }): Promise<Answers[K]> {
    const child = this.#child!;
    const { promise, resolve, reject } = Promise.withResolvers<Answers[K]>();
    const gone = (code: number | null, signal: string | null): void => {
      reject(new Cannot(`its process ended (${signal ?? `status ${code}`}) ${this.#lastWords}`.trim()));
    };
    const heard = (reply: Reply): void => {
      if (reply.ok) resolve(reply.answer as Answers[K]);
      else reject(new Cannot(reply.cannot ? reply.message : `fails: ${reply.message}`));
    };
    const timer = setTimeout(() => {
      this.stop();
      reject(new Cannot(`no answer within ${PATIENCE_MS / 1000} s`));
    }, PATIENCE_MS);
    child.once('close', gone).once('message', heard);
    child.send(request);
    return promise.finally(() => {
      clearTimeout(timer);
      child.off('close', gone).off('message', heard);
    });
  }
}
