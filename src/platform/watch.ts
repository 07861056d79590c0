// Waits for files of a folder to be saved. Knows node:fs; knows no format.
import { type FSWatcher, watch } from 'node:fs';
import { UserError } from '../errors.ts';

/** Editors write a file in several steps, or another one and rename it: a save has ended after so long without one. */
const QUIET_MS = 100;

/** Saves of files directly in one folder, from its opening on. Close it, or the process stays alive. */
export class FolderWatch {
  readonly #watcher: FSWatcher;
  readonly #saved = new Set<string>();
  #closed = false;
  #quiet: NodeJS.Timeout | undefined;
  /** Ends the wait of `next`. */
  #wake: () => void = () => {};

  /** Throws UserError where the folder cannot be watched. */
  constructor(folder: string) {
    try {
      this.#watcher = watch(folder, (_event, name) => {
        if (name === null || this.#closed) return;
        this.#saved.add(name);
        clearTimeout(this.#quiet);
        this.#quiet = setTimeout(() => {
          this.#quiet = undefined;
          this.#wake();
        }, QUIET_MS);
      });
    } catch (error) {
      throw new UserError(`${folder}: cannot be watched (${(error as NodeJS.ErrnoException).code})`);
    }
    this.#watcher.on('error', () => this.close()); // The folder is gone.
  }

  /** Names of the files that were saved since the last call, once there is one; undefined once closed. */
  async next(): Promise<ReadonlySet<string> | undefined> {
    while (!this.#closed && (this.#saved.size === 0 || this.#quiet !== undefined)) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
    if (this.#closed) return undefined;
    const names = new Set(this.#saved);
    this.#saved.clear();
    return names;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#quiet);
    this.#watcher.close();
    this.#wake();
  }
}
