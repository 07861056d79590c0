import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeFiles as files } from '../../src/platform/files.ts';
import { userError } from './expect-error.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mentalese-files-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('files on disk', () => {
  it('writes and reads back, replaces, appends, lists, removes', async () => {
    const path = join(root, 'a');
    await files.makeFolder(join(path, 'b'));
    await files.writeAtomic(join(path, 't'), 'one');
    await files.writeAtomic(join(path, 't'), Uint8Array.of(0xef, 0xbb, 0xbf, 0x32));
    expect(await files.readText(join(path, 't'))).toBe('2');
    await files.append(join(path, 'log'), 'x\n');
    await files.append(join(path, 'log'), 'y\n');
    expect(await files.readText(join(path, 'log'))).toBe('x\ny\n');
    expect(await files.list(path)).toEqual(['b', 'log', 't']);
    await files.remove(path);
    await files.remove(path);
    expect(await files.exists(path)).toBe(false);
  });

  it('reads a file in parts, and writes parts one after the other', async () => {
    const path = join(root, 'parts');
    await files.writeAtomic(path, [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(4, 5)]);
    const file = await files.open(path);
    expect(file.size).toBe(5);
    expect(await file.read(1, 4)).toEqual(Uint8Array.of(2, 3, 4));
    expect(await file.read(5, 5)).toEqual(new Uint8Array(0));
    await files.writeAtomic(path, 'abc');
    expect(await userError(() => file.read(1, 5))).toBe(`${path}: ends at byte 3, it was longer before`);
    await files.remove(path);
    expect(await userError(() => file.read(0, 1))).toBe(`${path}: no such file or folder`);
  });

  it('replaces a folder whole, over the remains of a killed attempt', async () => {
    const path = join(root, 'checkpoints', '10');
    await mkdir(`${path}.partial`, { recursive: true });
    await writeFile(`${path}.partial/half`, 'x');
    await files.writeFolderAtomic(path, { a: 'old', b: 'old' });
    await files.writeFolderAtomic(path, { a: 'new', c: Uint8Array.of(1) });
    expect(await files.list(path)).toEqual(['a', 'c']);
    expect(await files.list(join(root, 'checkpoints'))).toEqual(['10']);
  });

  it('leaves a whole folder or none when the process is killed in the middle', async () => {
    // A child that writes folders of two big files and is killed at some moment: under its final name a folder
    // has both files in full.
    const path = join(root, 'killed');
    await mkdir(path);
    const module = new URL('../../src/platform/files.ts', import.meta.url).href;
    const script = `
      const { nodeFiles } = await import(${JSON.stringify(module)});
      const big = new Uint8Array(4e6).fill(7);
      console.log('ready');
      for (let i = 0; ; i++) await nodeFiles.writeFolderAtomic(${JSON.stringify(path)} + '/' + i, { a: big, b: big });`;
    for (const delay of [20, 60, 110]) {
      const child = execFile(process.execPath, ['--input-type=module', '-e', script]);
      const ended = new Promise(resolve => child.once('exit', resolve));
      await Promise.race([ended, new Promise(resolve => child.stdout!.once('data', resolve))]);
      await new Promise(resolve => setTimeout(resolve, delay));
      expect(child.exitCode, 'the child ended by itself').toBeNull();
      child.kill('SIGKILL');
      await ended;
      for (const name of (await readdir(path)).filter(item => /^\d+$/.test(item))) {
        const sizes = await Promise.all(
          ['a', 'b'].map(async file => (await readFile(join(path, name, file))).length),
        );
        expect(sizes).toEqual([4e6, 4e6]);
      }
    }
  });

  it('tells faults apart and names the path', async () => {
    const file = join(root, 'file');
    await writeFile(file, Uint8Array.of(0xff, 0xfe));
    const missing = join(root, 'none', 'x');
    const under = join(file, 'x');
    const cases: [() => Promise<unknown>, string][] = [
      [() => files.read(missing), `${missing}: no such file or folder`],
      [() => files.read(root), `${root}: is a folder, expected a file`],
      [() => files.read(under), `${under}: no such file or folder`],
      [() => files.open(missing), `${missing}: no such file or folder`],
      [() => files.open(root), `${root}: is a folder, expected a file`],
      [() => files.readText(file), `${file}: not a text file (its bytes are not UTF-8)`],
      [() => files.list(missing), `${missing}: no such file or folder`],
      [() => files.list(file), `${file}: no such file or folder`],
      [() => files.makeFolder(file), `${file}: is a file, expected a folder`],
      [() => files.makeFolder(under), `${under}: cannot write: a part of the path is a file, not a folder`],
      [() => files.writeAtomic(root, ''), `${root}: is a folder, expected a file`],
      [() => files.writeAtomic(missing, ''), `${missing}: cannot write: its folder does not exist`],
      [() => files.append(root, ''), `${root}: is a folder, expected a file`],
      [
        () => files.writeFolderAtomic(under, { a: '' }),
        `${under}: cannot write: a part of the path is a file, not a folder`,
      ],
    ];
    for (const [work, fault] of cases) expect(await userError(work)).toBe(fault);
  });

  it.runIf(process.platform === 'linux')('says so, and soon, where the system makes no folders', async () => {
    for (const path of ['/proc/mentalese', '/proc/mentalese/deeper']) {
      expect(await userError(() => files.makeFolder(path))).toBe(
        '/proc/mentalese: cannot write: no folder can be made here',
      );
    }
  });

  it.runIf(process.platform !== 'win32' && process.getuid?.() !== 0)(
    'says where permission is lacking',
    async () => {
      const closed = join(root, 'closed');
      await promisify(execFile)('mkdir', ['-m', '500', closed]);
      expect(await userError(() => files.makeFolder(closed))).toBe(`${closed}: no permission to write`);
      expect(await userError(() => files.writeAtomic(join(closed, 'x'), ''))).toBe(
        `${closed}/x: no permission to write`,
      );
    },
  );
});
