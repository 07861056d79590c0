// The user's cache folder: what is written there whole, what it says where it cannot be.
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cacheFolder, nodeCache } from '../../src/platform/cache.ts';
import { userError } from './expect-error.ts';

const before = process.env.XDG_CACHE_HOME;
let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'mentalese-cache-'));
  process.env.XDG_CACHE_HOME = home;
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
  if (before === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = before;
});

it('gives back what was written last, and undefined for what never was', async () => {
  expect(cacheFolder()).toBe(join(home, 'mentalese'));
  expect(await nodeCache.read('a.json')).toBeUndefined();
  await nodeCache.write('a.json', 'one');
  await nodeCache.write('a.json', 'zwei\n');
  expect(await nodeCache.read('a.json')).toBe('zwei\n');
  expect(nodeCache.place('a.json')).toBe(join(home, 'mentalese', 'a.json'));
  expect(readdirSync(cacheFolder())).toEqual(['a.json']);
});

it('names the place of what it cannot read or write', async () => {
  await nodeCache.write('a.json', 'one');
  const path = nodeCache.place('a.json');
  writeFileSync(path, Uint8Array.of(0xff, 0xfe));
  expect(await userError(() => nodeCache.read('a.json'))).toBe(
    `${path}: not a text file (its bytes are not UTF-8)`,
  );
  writeFileSync(join(home, 'file'), '');
  process.env.XDG_CACHE_HOME = join(home, 'file');
  expect(await nodeCache.read('a.json')).toBeUndefined();
  expect(await userError(() => nodeCache.write('a.json', 'one'))).toMatch(new RegExp(`^${home}/file`));
  if (process.getuid?.() === 0) return; // Root may write everywhere.
  process.env.XDG_CACHE_HOME = home;
  chmodSync(cacheFolder(), 0o500);
  expect(await userError(() => nodeCache.write('a.json', 'one'))).toMatch(/no permission to write$/);
  chmodSync(cacheFolder(), 0o700);
});
