// The file system of Node behind the Files interface. Knows node:fs and its error codes; knows no format.
import type { FileHandle } from 'node:fs/promises';
import {
  access,
  appendFile,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../errors.ts';
import type { Content, Files } from '../files.ts';

// Unfinished work carries this suffix until its rename. The name is fixed, so that what a killed run left
// behind is overwritten by the next attempt instead of piling up.
const PARTIAL = '.partial';
const REPLACED = '.replaced';

export const nodeFiles: Files = {
  read: path => attempt('read', path, () => readFile(path)),

  open: path =>
    attempt('read', path, async () => {
      // Opened for each part: whoever reads has nothing to close.
      const withHandle = async <T>(work: (file: FileHandle) => Promise<T>): Promise<T> => {
        const file = await open(path, 'r');
        try {
          return await work(file);
        } finally {
          await file.close();
        }
      };
      const size = await withHandle(async file => {
        const found = await file.stat();
        if (found.isDirectory()) throw new UserError(`${path}: ${fault('read', 'EISDIR')}`);
        return found.size;
      });
      return {
        size,
        read: (from, to) => attempt('read', path, () => withHandle(file => readPart(file, from, to, path))),
      };
    }),

  readText: async path => {
    const bytes = await nodeFiles.read(path);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw new UserError(`${path}: not a text file (its bytes are not UTF-8)`);
    }
  },

  writeAtomic: (path, content) =>
    attempt('write', path, async () => {
      if (await isFolder(path)) throw new UserError(`${path}: is a folder, expected a file`);
      await writeDurably(path + PARTIAL, content);
      await rename(path + PARTIAL, path);
      await syncFolder(dirname(path));
    }),

  writeFolderAtomic: (path, contents) =>
    attempt('write', path, async () => {
      const partial = path + PARTIAL;
      const replaced = path + REPLACED;
      await rm(partial, { recursive: true, force: true });
      await makeFolders(partial);
      for (const [name, content] of Object.entries(contents))
        await writeDurably(join(partial, name), content);
      await syncFolder(partial);
      // A rename cannot replace a folder that holds files, so an old one steps aside first.
      await rm(replaced, { recursive: true, force: true });
      if (await present(path)) await rename(path, replaced);
      await rename(partial, path);
      await syncFolder(dirname(path));
      await rm(replaced, { recursive: true, force: true });
    }),

  append: (path, text) => attempt('write', path, () => appendFile(path, text)),
  exists: path => attempt('read', path, () => present(path)),
  list: path => attempt('read', path, async () => (await readdir(path)).sort()),
  move: (from, to) => attempt('move', from, () => rename(from, to)),

  remove: path => attempt('remove', path, () => rm(path, { recursive: true, force: true })),

  makeFolder: path =>
    attempt('write', path, async () => {
      await makeFolders(path);
      await access(path, constants.W_OK);
    }),
};

/**
 * Node's own recursive mkdir (24.21) never returns where mkdir says ENOENT although the parent exists, as under
 * /proc, so the steps are ours.
 */
async function makeFolders(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const parent = dirname(path);
    if (code(error) === 'EEXIST' && (await isFolder(path))) return;
    if (code(error) !== 'ENOENT' || parent === path) throw error;
    if (await present(parent)) throw new UserError(`${path}: cannot write: no folder can be made here`);
    await makeFolders(parent);
    await mkdir(path);
  }
}

/** Node reads no more than 2 GiB at once. */
const MOST_READ = 2 ** 30;

async function readPart(file: FileHandle, from: number, to: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(to - from);
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(bytes.length - at, MOST_READ);
    const { bytesRead } = await file.read(bytes, at, length, from + at);
    if (bytesRead === 0) throw new UserError(`${path}: ends at byte ${from + at}, it was longer before`);
    at += bytesRead;
  }
  return bytes;
}

async function writeDurably(path: string, content: Content): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'w');
    // Each goes on where the one before ended.
    for (const part of Array.isArray(content) ? content : [content]) await file.writeFile(part);
    // Without this a power cut after the rename may leave the new name with no bytes behind it.
    await file.sync();
  } finally {
    await file?.close();
  }
}

/** Makes a rename durable. Windows cannot open a folder and needs no such call. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some network and overlay file systems refuse to sync a folder; the data itself is safe by then.
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(code(error))) throw error;
  } finally {
    await folder.close();
  }
}

async function present(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (code(error) === 'ENOENT' || code(error) === 'ENOTDIR') return false;
    throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await present(path)) && (await stat(path)).isDirectory();
}

async function attempt<T>(
  action: 'read' | 'write' | 'move' | 'remove',
  path: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const known = code(error);
    if (error instanceof UserError || known === '') throw error;
    throw new UserError(`${path}: ${fault(action, known)}`);
  }
}

function fault(action: string, known: string): string {
  switch (known) {
    case 'ENOENT':
      return action === 'write' ? 'cannot write: its folder does not exist' : 'no such file or folder';
    case 'ENOTDIR':
      return action === 'write'
        ? 'cannot write: a part of the path is a file, not a folder'
        : 'no such file or folder';
    case 'EEXIST':
      return 'is a file, expected a folder';
    case 'EISDIR':
      return 'is a folder, expected a file';
    case 'EACCES':
    case 'EPERM':
      return `no permission to ${action}`;
    case 'EROFS':
      return 'cannot write: the file system is read-only';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'cannot write: the disk is full';
    default:
      return `cannot ${action} (${known})`;
  }
}

function code(error: unknown): string {
  const value = error instanceof Error && 'code' in error ? error.code : '';
  return typeof value === 'string' ? value : '';
}
