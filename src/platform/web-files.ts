// Files in a browser: beside the page, or picked by the user. Knows fetch and File; knows no format.
import { UserError } from '../errors.ts';
import type { Files } from '../files.ts';

/** A place that can be read from. Faults are UserErrors that name the path. */
export type Source = Pick<Files, 'read' | 'readText'>;

/** Files beside the page, by paths relative to it. */
export const fetchSource: Source = sourceOf(async path => {
  const response = await fetch(path).catch(() => {
    throw new UserError(`${path}: cannot be fetched (is the server still there?)`);
  });
  if (!response.ok) throw new UserError(`${path}: the server says ${response.status}`);
  return response.arrayBuffer();
});

/** Files that the user picked or dropped, by name, whatever folder they were in. */
export function pickedSource(files: readonly File[]): Source {
  return sourceOf(async path => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const matching = files.filter(file => file.name === name);
    if (matching.length === 0) throw new UserError(`${name}: is not among the files given`);
    if (matching.length > 1)
      throw new UserError(
        `${name}: ${matching.length} of the files given have this name; give one model folder`,
      );
    return matching[0]!.arrayBuffer().catch(() => {
      throw new UserError(`${name}: cannot be read`);
    });
  });
}

function sourceOf(load: (path: string) => Promise<ArrayBuffer>): Source {
  return {
    read: async path => new Uint8Array(await load(path)),
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
