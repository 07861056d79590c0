// What the watch mode needs of its platform: saves of a folder's files.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { FolderWatch } from '../../src/platform/watch.ts';

describe('watching a folder', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mentalese-watch-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const watching = (): FolderWatch => {
    const saves = new FolderWatch(folder);
    onTestFinished(() => saves.close());
    return saves;
  };

  it('gives each save once, those before the call too, and those that belong together at once', async () => {
    const saves = watching();
    writeFileSync(join(folder, 'a.wgsl'), 'one');
    writeFileSync(join(folder, 'a.wgsl'), 'two');
    writeFileSync(join(folder, 'b.wgsl'), 'one');
    expect(await saves.next()).toEqual(new Set(['a.wgsl', 'b.wgsl']));
    const next = saves.next();
    writeFileSync(join(folder, 'b.wgsl'), 'two');
    expect(await next).toEqual(new Set(['b.wgsl']));
  });

  it('sees a file that is saved by renaming another one', async () => {
    writeFileSync(join(folder, 'a.wgsl'), 'one');
    const saves = watching();
    writeFileSync(join(folder, 'a.wgsl.tmp'), 'two');
    renameSync(join(folder, 'a.wgsl.tmp'), join(folder, 'a.wgsl'));
    const seen = new Set<string>();
    while (!seen.has('a.wgsl')) for (const name of (await saves.next()) ?? []) seen.add(name);
  });

  it('ends at its close', async () => {
    const saves = watching();
    const next = saves.next();
    saves.close();
    saves.close();
    expect(await next).toBeUndefined();
    writeFileSync(join(folder, 'a.wgsl'), 'one');
    expect(await saves.next()).toBeUndefined();
  });

  it('refuses a folder that is not there in one line', () => {
    const missing = join(folder, 'missing');
    expect(() => new FolderWatch(missing)).toThrow(UserError);
    expect(() => new FolderWatch(missing)).toThrow(`${missing}: cannot be watched (ENOENT)`);
  });
});
