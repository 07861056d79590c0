// An experiment as a user runs it: cells one after another, killed and gone on with, run again without change, verified,
// and refused where it would mix what does not belong together.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { cellsOf, withPrerequisites } from '../../tools/experiment/cell.ts';
import { type CellRecord, differences } from '../../tools/experiment/record.ts';
import tiny from '../experiment/tiny.ts';
import { contents, type Ended, run, scratch, succeed, until } from './child.ts';

const EXPERIMENT = 'tools/experiment.ts';
const TINY = 'test/experiment/tiny.ts';
const folder = scratch();
const whole = join(folder, 'whole');
const cells = withPrerequisites(cellsOf(tiny, 1));

/** Flags of a session whose results and runs lie in `dir`. */
const into = (dir: string, ...more: string[]): string[] => {
  return [TINY, '--seeds', '1', '--out', join(dir, 'results'), '--runs', join(dir, 'runs'), ...more];
};
const resultsText = (dir: string): string => readFileSync(join(dir, 'results', 'tiny.json'), 'utf8');
const recordsIn = (dir: string): CellRecord[] => JSON.parse(resultsText(dir)).records;
/** The folder of a cell, by its place in the order in which they run. */
const cellFolder = (dir: string, index: number): string => {
  const adapter = readdirSync(join(dir, 'runs')).find(name => name !== 'lock') ?? 'none';
  return join(dir, 'runs', adapter, cells[index]!.id);
};

function expectSame(dir: string): void {
  const [records, expected] = [recordsIn(dir), recordsIn(whole)];
  expect(records.map(({ arm }) => arm)).toEqual(expected.map(({ arm }) => arm));
  for (const [i, record] of records.entries()) expect(differences(record, expected[i]!)).toEqual([]);
}

/** What `whole` was before the cell of this place. */
function takenUpTo(dir: string, index: number): void {
  cpSync(whole, dir, { recursive: true });
  for (let i = index; i < cells.length; i++) rmSync(cellFolder(dir, i), { recursive: true });
  const content = { ...JSON.parse(resultsText(dir)), records: recordsIn(dir).slice(0, index) };
  writeFileSync(join(dir, 'results', 'tiny.json'), JSON.stringify(content));
}

/** A session that gets `signal` while the cell of this place trains, after some of its steps. */
async function interrupted(dir: string, index: number, signal: NodeJS.Signals): Promise<Ended> {
  const metrics = (): string => {
    const path = existsSync(join(dir, 'runs')) ? join(cellFolder(dir, index), 'metrics.jsonl') : '';
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  return run(EXPERIMENT, into(dir), async child => {
    await until(() => metrics().includes('"step":6,'), child);
    child.kill(signal);
  });
}

let said = '';
beforeAll(async () => {
  said = await succeed(EXPERIMENT, into(whole));
});

test('runs what an arm starts from first, every arm after it, and says how far it is', () => {
  expect(recordsIn(whole).map(({ arm }) => arm)).toEqual([
    'pretrained',
    'window 1',
    'window 2',
    'from nothing',
  ]);
  expect(said).toMatch(
    /^tiny: Does an experiment run\?\n3 cells \(.*\), 0 done; 4 to run, 1 of them that others/,
  );
  expect(said).toMatch(
    /\n\[4\/4\] from nothing, seed 0 · exact match \d\.\d{3} after 128 samples, in .*\n3 of 3 cells done\n/,
  );
  const [first, second] = recordsIn(whole);
  expect(second!.commands).toEqual([
    `node train.ts ${cells[1]!.flags.join(' ')} --init ${cellFolder(whole, 0)}/final --out ${cellFolder(whole, 1)}`,
  ]);
  expect(first!.adapter).toBe(second!.adapter);
  expect(first!.training).toMatchObject({ samples: 128, steps: 16, evalSamples: 6 });
  expect(first!.training!.stages).toEqual([
    [0, 0],
    [8, 64],
    [12, 96],
  ]);
  // Checkpoints are most of a run's bytes and serve nothing any more.
  expect(existsSync(join(cellFolder(whole, 0), 'checkpoints'))).toBe(false);
  expect(existsSync(join(cellFolder(whole, 0), 'final', 'model.safetensors'))).toBe(true);
});

test('run again it changes nothing, and writes nothing', async () => {
  const before = contents(whole);
  expect(await succeed(EXPERIMENT, into(whole))).toBe('nothing to do: 3 cells of tiny done\n');
  expect(contents(whole)).toEqual(before);
});

test('a page that is gone is made again, the same', async () => {
  const page = join(whole, 'results', 'tiny.md');
  const text = readFileSync(page, 'utf8');
  rmSync(page);
  await succeed(EXPERIMENT, into(whole));
  expect(readFileSync(page, 'utf8')).toBe(text);
});

describe.concurrent('interrupted', () => {
  test('by kill -9 it goes on within the cell, to the same figures', async () => {
    const dir = join(folder, 'killed');
    takenUpTo(dir, 3);
    const { signal } = await interrupted(dir, 3, 'SIGKILL');
    expect(signal).toBe('SIGKILL');
    expect(recordsIn(dir).map(({ arm }) => arm)).toEqual(['pretrained', 'window 1', 'window 2']);
    const origin = readFileSync(join(cellFolder(dir, 3), 'origin.json'), 'utf8');
    await succeed(EXPERIMENT, into(dir));
    expectSame(dir);
    // Begun anew, the cell would have another time in it.
    expect(readFileSync(join(cellFolder(dir, 3), 'origin.json'), 'utf8')).toBe(origin);
  });

  test('by Ctrl-C it keeps what is done and says so, and goes on to the same figures', async () => {
    const dir = join(folder, 'stopped');
    takenUpTo(dir, 2);
    const { status, stderr } = await interrupted(dir, 2, 'SIGINT');
    expect([status, stderr]).toEqual([
      1,
      'error: stopped with 1 of 3 cells done; the same command goes on\n',
    ]);
    expect(existsSync(join(cellFolder(dir, 2), 'checkpoints'))).toBe(true);
    await succeed(EXPERIMENT, into(dir));
    expectSame(dir);
  });
});

test('what it started ends with it, however it ends', async () => {
  const script = join(folder, 'parent.ts');
  const children = join(import.meta.dirname, '..', '..', 'tools', 'experiment', 'children.ts');
  writeFileSync(
    script,
    `import { Children } from ${JSON.stringify(children)};
await new Children().run('test/experiment/idle.ts', [], line => console.log(line));\n`,
  );
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const child = await new Promise<number>(resolve => parent.stdout.on('data', text => resolve(Number(text))));
  const alive = (): boolean => {
    try {
      return process.kill(child, 0);
    } catch {
      return false;
    }
  };
  expect(alive()).toBe(true);
  parent.kill('SIGKILL');
  for (let i = 0; i < 200 && alive(); i++) await sleep(50);
  expect(alive()).toBe(false);
});

test('is refused beside another one, and not after one that was killed', async () => {
  const dir = join(folder, 'beside');
  const lock = join(dir, 'runs', 'lock');
  mkdirSync(join(dir, 'runs'), { recursive: true });
  writeFileSync(lock, `${process.pid}\n`);
  const { status, stderr } = await run(EXPERIMENT, into(dir));
  expect(status).toBe(1);
  expect(stderr).toBe(
    `error: ${lock}: process ${process.pid} runs an experiment here; wait for it, or remove the file if it is no such\n`,
  );
  expect(readdirSync(dir)).toEqual(['runs']);
  // Of a process that is no more.
  const gone = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await new Promise(resolve => gone.on('close', resolve));
  writeFileSync(lock, `${gone.pid}\n`);
  await succeed(EXPERIMENT, into(dir, '--budget', '0.01'));
  expect(existsSync(lock)).toBe(false);
});

test('seeds that are done stay on the page when a later run is about fewer', async () => {
  const dir = join(folder, 'seeds');
  cpSync(whole, dir, { recursive: true });
  const second = cellsOf(tiny, 2).slice(3);
  const records = [
    ...recordsIn(whole),
    ...second.map(cell => ({
      ...recordsIn(whole).find(({ arm }) => arm === cell.arm)!,
      id: cell.id,
      seed: 1,
    })),
  ];
  writeFileSync(
    join(dir, 'results', 'tiny.json'),
    JSON.stringify({ ...JSON.parse(resultsText(dir)), records }),
  );
  await succeed(EXPERIMENT, into(dir));
  expect(readFileSync(join(dir, 'results', 'tiny.md'), 'utf8')).toContain('| window 1 | 2 |');
});

describe('a budget', () => {
  test('starts nothing that would not be done, and says what is left', async () => {
    const dir = join(folder, 'budget');
    const said = await succeed(EXPERIMENT, into(dir, '--budget', '0.05'));
    expect(said).toContain(
      '\n0 of 3 cells done; left for another run, about 24 s: pretrained, seed 0; window 1, seed 0; ',
    );
    expect(existsSync(join(dir, 'results'))).toBe(false);
  });

  test('knows from cells that were run how long one takes', async () => {
    // Declared as 6 s; those of the results took less than the budget, and another seed will.
    const dir = join(folder, 'known');
    cpSync(whole, dir, { recursive: true });
    const words = [...into(dir, '--budget', '0.09', '--only', 'from nothing'), '--seeds', '2'];
    const records = recordsIn(dir).map(record => ({ ...record, seconds: 1 }));
    const content = { ...JSON.parse(resultsText(dir)), records };
    writeFileSync(join(dir, 'results', 'tiny.json'), JSON.stringify(content));
    expect(await succeed(EXPERIMENT, words)).toContain('\n2 of 2 cells done\n');
    expect(recordsIn(dir).map(({ arm, seed }) => `${arm} ${seed}`)).toEqual([
      'pretrained 0',
      'window 1 0',
      'window 2 0',
      'from nothing 0',
      'from nothing 1',
    ]);
  });
});

test('a cell that another experiment has run is taken from there', async () => {
  const out = join(folder, 'sharing');
  const before = contents(join(whole, 'runs'));
  await succeed(EXPERIMENT, [...into(whole), '--out', out]);
  const records: CellRecord[] = JSON.parse(readFileSync(join(out, 'tiny.json'), 'utf8')).records;
  expect(records).toEqual(recordsIn(whole));
  expect(contents(join(whole, 'runs'))).toEqual(before);
});

describe('--verify', () => {
  test('runs a cell again elsewhere, and finds it the same', async () => {
    const files = (): string[] => cells.flatMap((_, i) => contents(cellFolder(whole, i)));
    const before = [...contents(join(whole, 'results')), ...files()];
    const { id } = cells[1]!;
    expect(await succeed(EXPERIMENT, into(whole, '--verify', id))).toContain(
      `window 1, seed 0 (${id}): every figure but times is the same bit for bit\n`,
    );
    expect([...contents(join(whole, 'results')), ...files()]).toEqual(before);
  });

  test('finds one that is not', async () => {
    const dir = join(folder, 'false');
    cpSync(whole, dir, { recursive: true });
    const path = join(dir, 'results', 'tiny.json');
    writeFileSync(path, resultsText(dir).replace(/"peakBytes": \d+/, '"peakBytes": 7'));
    const { status, stderr } = await run(EXPERIMENT, into(dir, '--verify', cells[0]!.id));
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: pretrained, seed 0 \(.*\) came out otherwise: training.peakBytes: 7, \d+\n$/,
    );
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"commit": "[^"]*"/g, '"commit": "0123456789"'));
    const later = await run(EXPERIMENT, into(dir, '--verify', cells[0]!.id));
    expect(later.status).toBe(1);
    expect(later.stderr).toContain('peakBytes: 7, ');
    expect(later.stderr).toContain('. The record is of commit 0123456789, this is ');
  });
});

test('cells that fail are named, and the others are run all the same', async () => {
  const dir = join(folder, 'failing');
  const out = join(dir, 'results');
  const { status, stderr } = await run(EXPERIMENT, [
    'test/experiment/failing.ts',
    ...['--out', out, '--runs', join(dir, 'runs')],
  ]);
  expect([status, stderr]).toEqual([1, 'error: 1 of 2 cells done; failed: diverging, seed 0\n']);
  const { records } = JSON.parse(readFileSync(join(out, 'failing.json'), 'utf8'));
  expect(records.map(({ arm }: CellRecord) => arm)).toEqual(['sound']);
});

describe.concurrent('is refused in one line, with nothing changed', () => {
  const prepared = (name: string, change: (text: string) => string): string => {
    const dir = join(folder, name);
    mkdirSync(join(dir, 'results'), { recursive: true });
    writeFileSync(join(dir, 'results', 'tiny.json'), change(resultsText(whole)));
    return dir;
  };
  const elsewhere = (text: string): string => text.replaceAll(/"adapter": ".*"/g, '"adapter": "another"');

  test.each<[string, (dir: string) => string[], (text: string) => string, RegExp]>([
    [
      'results of another adapter',
      dir => [...into(dir), '--seeds', '2'],
      elsewhere,
      /tiny\.json: is of another, and here is .*: an experiment never mixes adapters; give --out another folder$/,
    ],
    ['results that are damaged', dir => into(dir), text => text.slice(0, 99), /tiny\.json: not valid JSON/],
    ['an experiment that is unknown', () => ['nosuch'], String, /unknown experiment "nosuch": there are /],
    ['a file that is none', () => ['nosuch.ts'], String, /nosuch\.ts: no such file/],
    [
      'a file without an experiment',
      () => ['tools/flags.ts'],
      String,
      /tools\/flags\.ts: exports no experiment/,
    ],
    ['no seeds', dir => into(dir, '--seeds', '0'), String, /--seeds must be a positive integer, got "0"/],
    ['no time', dir => into(dir, '--budget', '0'), String, /--budget must be a number above 0, got "0"/],
    [
      'an arm that is unknown',
      dir => into(dir, '--only', 'x'),
      String,
      /--only x: tiny has no such arm; it has "window 1"/,
    ],
    [
      'a cell that is unknown',
      dir => into(dir, '--verify', 'zz'),
      String,
      /--verify zz: no finished cell of tiny/,
    ],
    ['two names', () => ['bptt', 'tax'], String, /too many arguments/],
  ])('%s', async (name, words, change, fault) => {
    const dir = prepared(name.replaceAll(' ', '-'), change);
    const before = contents(dir);
    const { status, stdout, stderr } = await run(EXPERIMENT, words(dir));
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^error: [^\n]*\n$/);
    expect(stderr.trimEnd()).toMatch(fault);
    expect(contents(dir)).toEqual(before);
  });

  test('but not where there is nothing to do', async () => {
    const dir = prepared('moved', elsewhere);
    expect(await succeed(EXPERIMENT, into(dir))).toBe('nothing to do: 3 cells of tiny done\n');
  });
});

test('lists experiments, and the cells of one', async () => {
  expect(await succeed(EXPERIMENT, [])).toMatch(/^modes +.*\?\n +\d+ arms × 3 seeds, about .* on llvmpipe\n/);
  const lines = (await succeed(EXPERIMENT, into(whole, '--list'))).split('\n');
  expect(lines[0]).toMatch(new RegExp(`^${cells[0]!.id}  pretrained, seed 0 +done in `));
  expect(lines[3]).toBe(`  node train.ts ${cells[1]!.flags.join(' ')} --init ${cells[0]!.id}/final`);
});
