// One experiment at a time in a folder of runs: two would write into the same cells, and each other's times would be
// worth nothing. Knows files and processes.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { UserError } from '../../src/errors.ts';

/** Holds the folder until this process ends. Throws UserError where another one does. */
export function holdFolder(folder: string): void {
  const path = `${folder}/lock`;
  // A process that was killed leaves its lock behind.
  const holder = numberIn(path);
  if (holder !== undefined && !isAlive(holder)) rmSync(path, { force: true });
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UserError(
      `${path}: process ${numberIn(path)} runs an experiment here; wait for it, or remove the file if it is no such`,
    );
  }
  process.on('exit', () => rmSync(path, { force: true }));
}

function numberIn(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // It is somebody else's.
  }
}
