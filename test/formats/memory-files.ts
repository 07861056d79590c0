// The Files interface over a Map: tests of formats need no disk.
import { UserError } from '../../src/errors.ts';
import { type Content, type Files, openBytes } from '../../src/files.ts';

/** `entries` maps paths to bytes; folders exist by their files. */
export function memoryFiles(entries: Map<string, Uint8Array> = new Map()): Files {
  const bytes = (content: Content): Uint8Array => {
    if (typeof content === 'string') return new TextEncoder().encode(content);
    return content instanceof Uint8Array ? content : new Uint8Array(Buffer.concat(content));
  };
  const inside = (path: string) => [...entries.keys()].filter(key => key.startsWith(`${path}/`));
  const files: Files = {
    async read(path) {
      const found = entries.get(path);
      if (found === undefined) throw new UserError(`${path}: no such file or folder`);
      return found;
    },
    open: async path => openBytes(await files.read(path)),
    readText: async path => new TextDecoder().decode(await files.read(path)),
    async writeAtomic(path, content) {
      entries.set(path, bytes(content));
    },
    async writeFolderAtomic(path, contents) {
      await files.remove(path);
      for (const [name, content] of Object.entries(contents)) entries.set(`${path}/${name}`, bytes(content));
    },
    async append(path, text) {
      const before = (await files.exists(path)) ? await files.readText(path) : '';
      entries.set(path, bytes(before + text));
    },
    exists: async path => entries.has(path) || inside(path).length > 0,
    list: async path =>
      [...new Set(inside(path).map(key => key.slice(path.length + 1).split('/')[0]))].sort(),
    async move(from, to) {
      for (const key of [from, ...inside(from)]) {
        const found = entries.get(key);
        if (found !== undefined) entries.set(to + key.slice(from.length), found);
        entries.delete(key);
      }
    },
    async remove(path) {
      for (const key of [path, ...inside(path)]) entries.delete(key);
    },
    async makeFolder() {},
  };
  return files;
}
