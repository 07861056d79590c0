// The bench as its user has it: rows as JSON, help, one line for a bad flag, and the watch mode.
import { appendFileSync, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BenchRow } from '../../bench/rows.ts';
import { run, scratch, succeed, until } from '../e2e/child.ts';

const folder = scratch();
const BENCH = 'bench/run.ts';

const copyOfShaders = (name: string): string => {
  const copy = join(folder, name);
  cpSync('shaders', copy, { recursive: true });
  return copy;
};

it('times an op at its shapes and writes the rows, but keeps no results', async () => {
  const json = join(folder, 'gelu.json');
  const printed = await succeed(BENCH, ['--op', 'gelu', '--json', json]);
  const { ceilings, rows } = JSON.parse(readFileSync(json, 'utf8')) as {
    ceilings: Record<string, number>;
    rows: BenchRow[];
  };
  for (const name of ['gflops', 'streamGbs', 'cachedGbs', 'dispatchMs'])
    expect(ceilings[name]).toBeGreaterThan(0);
  expect(new Set(rows.map(({ pass }) => pass))).toEqual(new Set(['forward', 'backward']));
  for (const row of rows) {
    expect(row.op).toBe('gelu');
    expect(row.variant).toBe(row.pass === 'forward' ? 'gelu' : 'gelu-backward');
    expect(['fma', 'stream', 'cached', 'dispatch']).toContain(row.bound);
    for (const value of [row.ms, row.wallMs, row.gflops, row.gbs, row.ceilingShare])
      expect(value).toBeGreaterThan(0);
    expect(row.spread).toBeGreaterThanOrEqual(0);
    expect(printed).toContain(row.shape);
  }
  expect(printed).not.toContain('written to');
});

it('times the shapes that are given, in the variant that is forced', async () => {
  const json = join(folder, 'matmul.json');
  const flags = [
    '--op',
    'matmul',
    '--shape',
    '7x9x11',
    '--shape',
    '16x4x8',
    '--variant',
    'tiled-32x32',
    '--json',
    json,
  ];
  await succeed(BENCH, flags);
  const { rows } = JSON.parse(readFileSync(json, 'utf8')) as { rows: BenchRow[] };
  const forward = rows.filter(({ pass }) => pass === 'forward');
  expect(forward.map(({ shape, form, variant }) => `${shape} ${form} ${variant}`)).toEqual(
    ['7x9x11', '16x4x8'].flatMap(shape => ['nn', 'nt', 'tn'].map(form => `${shape} ${form} tiled-32x32`)),
  );
  expect(rows).toHaveLength(2 * forward.length);
});

describe('bad input is one line and status 1', () => {
  it.each([
    ['--op gelus', 'error: --op must be add, attention,'],
    ['--shape 3x4', 'error: --shape must be MxNxK such as'],
    ['--op gelu --shape 3x4x5', 'error: --shape is for linear, matmul;'],
    ['--variant thread', 'error: --variant needs --op'],
    ['--op layernorm --variant quad', 'error: --variant must be thread or workgroup here, got "quad"'],
    ['--watch', 'error: --watch needs --op'],
    ['--op gelu --shaders no-such-folder', 'error: no-such-folder: no such file or folder'],
    ['--op gelu --adapter fast', 'error: --adapter must be auto, gpu or software'],
    ['--bogus', "error: unknown option '--bogus'"],
    ['extra', 'error: too many arguments'],
  ])('%s', async (flags, message) => {
    const { status, stderr } = await run(BENCH, flags);
    expect(stderr).toContain(message);
    expect(
      stderr
        .trim()
        .split('\n')
        .filter(line => line.startsWith('error') || line.startsWith('    at')),
    ).toHaveLength(1);
    expect(status).toBe(1);
  });

  it('a kernel that fails its check, which is not timed', async () => {
    const shaders = copyOfShaders('wrong');
    const file = join(shaders, 'gelu.wgsl');
    writeFileSync(file, readFileSync(file, 'utf8').replace('y[i] = xHeld[k]', 'y[i] = 2.0 * xHeld[k]'));
    const { status, stdout, stderr } = await run(BENCH, ['--op', 'gelu', '--shaders', shaders]);
    expect(stderr).toMatch(/error: gelu M=\d+ C=\d+: its output is off by .*, so it is not timed\n/);
    expect(stdout).not.toMatch(/^gelu/m);
    expect(status).toBe(1);
  });
});

it('explains its columns', async () => {
  const help = await succeed(BENCH, '--help');
  for (const word of [
    '--op',
    '--shape',
    '--variant',
    '--watch',
    '--json',
    'fma',
    'stream',
    'cached',
    'dispatch',
    'share',
  ])
    expect(help).toContain(word);
});

it('watches the files of the op, survives a broken one, and ends at Ctrl-C', async () => {
  const shaders = copyOfShaders('watched');
  const file = join(shaders, 'gelu.wgsl');
  const good = readFileSync(file, 'utf8');
  const { stdout, stderr, status, signal } = await run(
    BENCH,
    ['--op', 'gelu', '--watch', '--shaders', shaders],
    async child => {
      let printed = '';
      child.stdout!.on('data', (text: string) => {
        printed += text;
      });
      const waits = (times: number) =>
        until(() => printed.split('waiting for a save of').length > times, child);
      await waits(1);
      appendFileSync(join(shaders, 'add.wgsl'), '\n'); // Not of this op: nothing happens.
      appendFileSync(file, '// saved\n');
      await waits(2);
      writeFileSync(file, `${good}\nbroken`);
      await waits(3);
      writeFileSync(file, good);
      await waits(4);
      child.kill('SIGINT');
    },
  );
  expect([status, signal]).toEqual([0, null]);
  expect(stderr.replace(/^Warning: .*\n/gm, '')).toBe('');
  expect(stdout).toMatch(/^waiting for a save of .*\bgelu-backward\.wgsl, gelu\.wgsl /m);
  const runs = stdout.split(/^gelu\.wgsl saved$/m);
  expect(runs).toHaveLength(4);
  const rowsOf = (text: string) => text.split('\n').filter(line => line.startsWith('gelu '));
  for (const line of rowsOf(runs[0]!)) expect(line).not.toMatch(/[+-]\d+\.\d%$/);
  for (const text of [runs[1]!, runs[3]!]) {
    expect(rowsOf(text)).toHaveLength(rowsOf(runs[0]!).length);
    for (const line of rowsOf(text)) expect(line).toMatch(/ [+-]\d+\.\d%$/);
  }
  expect(rowsOf(runs[2]!)).toHaveLength(0);
  expect(runs[2]).toMatch(/^error: gelu/m);
  expect(stdout).not.toContain('add.wgsl');
  expect(existsSync(join(shaders, 'gelu.wgsl'))).toBe(true);
});
