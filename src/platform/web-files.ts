// Files in a browser: beside the page, or picked by the user. Knows fetch and File; knows no format.
import { UserError } from '../errors.ts';
import { type Files, openBytes } from '../files.ts';

/** A place that can be read from. Faults are UserErrors that name the path. */
export type Source = Pick<Files, 'exists' | 'open' | 'read' | 'readText'>;

/** Files beside the page, by paths relative to it. */
export const fetchSource: Source = sourceOf(
  async path => (await request(path, 'HEAD')).ok,
  async path => {
    const response = await request(path, 'GET');
    if (!response.ok) throw new UserError(`${path}: the server says ${response.status}`);
    return response.arrayBuffer();
  },
);

function request(path: string, method: 'GET' | 'HEAD'): Promise<Response> {
  return fetch(path, { method }).catch(() => {
    throw new UserError(`${path}: cannot be fetched (is the server still there?)`);
  });
}

/** Files that the user picked or dropped, by name, whatever folder they were in. */
export function pickedSource(files: readonly File[]): Source {
  const named = (path: string): [name: string, matching: File[]] => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return [name, files.filter(file => file.name === name)];
  };
  return sourceOf(
    async path => named(path)[1].length > 0,
    async path => {
      const [name, matching] = named(path);
      if (matching.length === 0) throw new UserError(`${name}: is not among the files given`);
      if (matching.length > 1)
        throw new UserError(
          `${name}: ${matching.length} of the files given have this name; give one model folder`,
        );
      return matching[0]!.arrayBuffer().catch(() => {
        throw new UserError(`${name}: cannot be read`);
      });
    },
  );
}

/**
 * Files that were dropped, those in dropped folders included. Must be called while the drop is handled; throws UserError
 * where the browser cannot read one.
 */
export async function droppedFiles({ items, files }: DataTransfer): Promise<File[]> {
  const entries = [...items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null);
  return entries.length === 0 ? [...files] : allFilesOf(entries);
}

async function allFilesOf(entries: readonly FileSystemEntry[]): Promise<File[]> {
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  try {
    if (entry.isFile) return [await fileOf(entry as FileSystemFileEntry)];
    return await allFilesOf(await entriesIn(entry as FileSystemDirectoryEntry));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${entry.name}: cannot be read; drop it again, or pick the files instead`);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function entriesIn(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const entries: FileSystemEntry[] = [];
  for (;;) {
    const more = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    // Chrome gives at most 100 at once.
    if (more.length === 0) return entries;
    entries.push(...more);
  }
}

function sourceOf(
  exists: (path: string) => Promise<boolean>,
  load: (path: string) => Promise<ArrayBuffer>,
): Source {
  const read = async (path: string): Promise<Uint8Array> => new Uint8Array(await load(path));
  return {
    exists,
    read,
    open: async path => openBytes(await read(path)),
    async readText(path) {
      const bytes = await load(path);
      try {
        return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      } catch {
        throw new UserError(`${path}: not a text file (its bytes are not UTF-8)`);
      }
    },
  };
}
