// Files that were dropped, through what a browser gives of them.
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { droppedFiles } from '../../src/platform/web-files.ts';

const fileEntry = (name: string) => ({
  isFile: true,
  name,
  file: (done: (file: File) => void) => done(new File(['x'], name)),
});

/** Gives its entries as Chrome does: a hundred at a call, then none. */
const folderEntry = (name: string, entries: readonly unknown[]) => ({
  isFile: false,
  name,
  createReader() {
    const left = [...entries];
    return { readEntries: (done: (some: unknown[]) => void) => done(left.splice(0, 100)) };
  },
});

const transferOf = (entries: readonly unknown[], files: readonly File[] = []) =>
  ({
    items: entries.map(entry => ({ webkitGetAsEntry: () => entry })),
    files,
  }) as unknown as DataTransfer;

const names = async (transfer: DataTransfer): Promise<string[]> =>
  (await droppedFiles(transfer)).map(file => file.name);

describe('dropped files', () => {
  it('are all there, however many a folder holds, and those of folders inside it', async () => {
    const many = Array.from({ length: 250 }, (_, i) => `part-${i}`);
    const folder = folderEntry('model', [
      ...many.map(fileEntry),
      folderEntry('more', [fileEntry('config.json')]),
    ]);
    expect(await names(transferOf([folder, fileEntry('beside')]))).toEqual([
      ...many,
      'config.json',
      'beside',
    ]);
  });

  it('are taken as they are where the browser gives no entries', async () => {
    expect(await names(transferOf([null], [new File(['x'], 'config.json')]))).toEqual(['config.json']);
  });

  it('that cannot be read are refused by name', async () => {
    const denied = {
      isFile: true,
      name: 'a.json',
      file: (_: unknown, fail: (e: Error) => void) => fail(new Error()),
    };
    const folder = {
      isFile: false,
      name: 'model',
      createReader: () => ({ readEntries: (_: unknown, fail: (e: Error) => void) => fail(new Error()) }),
    };
    const dropped = droppedFiles(transferOf([folderEntry('outer', [denied])]));
    await expect(dropped).rejects.toThrow(UserError);
    await expect(dropped).rejects.toThrow('a.json: cannot be read; drop it again, or pick the files instead');
    await expect(droppedFiles(transferOf([folder]))).rejects.toThrow(/^model: cannot be read/);
  });
});
