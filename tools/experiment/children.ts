// The processes that an experiment starts, one at a time: their output line by line, their faults as one line, and the
// one interruption that is passed on. Knows processes; knows nothing of what runs in them.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../src/errors.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LEASH = new URL('leash.ts', import.meta.url).href;

/** Thrown where a process ended because the user asked for it. */
export class Interrupted extends Error {}

export class Children {
  #running: ChildProcess | undefined;
  #interrupted = false;

  constructor() {
    process.on('exit', () => this.#running?.kill('SIGKILL'));
  }

  /** Asks the running process to end in order, and lets no other begin. */
  interrupt(): void {
    this.#interrupted = true;
    this.#running?.kill('SIGINT');
  }

  /**
   * Runs `node script …flags` of the repository; `line` gets every line of its output as it comes. Gives the output.
   * A process that fails is a UserError that says how.
   */
  async run(
    script: string,
    flags: readonly string[],
    line: (text: string) => void = () => {},
  ): Promise<string> {
    if (this.#interrupted) throw new Interrupted();
    // A group of its own: Ctrl-C on a terminal goes to every process of a group, and a run that hears it twice, from
    // there and from us, ends at once instead of in order.
    const child = spawn(process.execPath, ['--import', LEASH, ROOT + script, ...flags], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#running = child;
    let stdout = '';
    let stderr = '';
    let rest = '';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      lines.forEach(line);
    });
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    this.#running = undefined;
    if (status === 0) return stdout;
    if (this.#interrupted) throw new Interrupted();
    throw new UserError(`node ${script} ${flags.join(' ')}: ${faultIn(stderr) ?? `ended with ${status}`}`);
  }
}

/** What an entry point says of its fault, else the first line that looks like one: devices write warnings there too. */
function faultIn(stderr: string): string | undefined {
  const lines = stderr.split('\n').filter(line => line.trim() !== '');
  const said = lines.find(line => line.startsWith('error: '))?.slice('error: '.length);
  return said ?? lines.find(line => /error/i.test(line)) ?? lines.at(-1);
}
