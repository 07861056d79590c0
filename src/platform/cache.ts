// The user's cache folder under Node. Knows where it is; knows nothing of what is kept there.
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Cache } from '../files.ts';
import { nodeFiles } from './files.ts';

export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  return join(base, 'mentalese');
}

export const nodeCache: Cache = {
  place: name => join(cacheFolder(), name),

  async read(name) {
    const path = nodeCache.place(name);
    return (await nodeFiles.exists(path)) ? nodeFiles.readText(path) : undefined;
  },

  async write(name, text) {
    const path = nodeCache.place(name);
    // Several runs may write at once, so that each needs an unfinished file of its own; the rename replaces.
    const own = `${path}.${process.pid}`;
    await nodeFiles.makeFolder(cacheFolder());
    await nodeFiles.writeAtomic(own, text);
    await nodeFiles.move(own, path);
  },
};
