// The bench in a real Chromium as its user has it: rows as JSON, a check before each, and one line for every fault.
import type { ChildProcess } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BenchRow } from '../../bench/rows.ts';
import { run, scratch, succeed, until } from '../e2e/child.ts';

const folder = scratch();
const BENCH = 'bench/web.ts';

it('times an op in the browser and writes the rows, but keeps no results', async () => {
  const kept = readdirSync('bench/results');
  const json = join(folder, 'matmul.json');
  const printed = await succeed(BENCH, ['--op', 'matmul', '--shape', '7x9x11', '--json', json]);
  expect(readdirSync('bench/results')).toEqual(kept);
  const { adapter, source, ceilings, rows } = JSON.parse(readFileSync(json, 'utf8')) as {
    adapter: string;
    source: string;
    ceilings: Record<string, number>;
    rows: BenchRow[];
  };
  expect(printed).toContain(`${adapter}\nceilings: `);
  // Without a GPU the browser's timestamps are there all the same.
  expect(adapter).toContain('timestamp-query');
  expect(source).toMatch(/^\d{4}-\d\d-\d\d · chromium \d+\.\d.* · commit /);
  expect(Object.keys(ceilings)).toEqual(['gflops', 'streamGbs', 'cachedGbs', 'dispatchMs']);
  for (const value of Object.values(ceilings)) expect(value).toBeGreaterThan(0);
  expect(rows.map(({ pass, shape, form }) => `${pass} ${shape} ${form}`)).toEqual(
    ['nn', 'nt', 'tn'].flatMap(form => [`forward 7x9x11 ${form}`, `backward 7x9x11 ${form}`]),
  );
  const lines = printed.split('\n').filter(line => line.startsWith('matmul '));
  expect(lines).toHaveLength(rows.length);
  for (const [i, row] of rows.entries()) {
    expect(row.op).toBe('matmul');
    expect(lines[i]).toContain(row.variant);
    expect(['fma', 'stream', 'cached', 'dispatch']).toContain(row.bound);
    for (const value of [row.ms, row.wallMs, row.gflops, row.gbs, row.ceilingShare, row.dispatches])
      expect(value).toBeGreaterThan(0);
    for (const value of Object.values(row))
      if (typeof value === 'number') expect(Number.isFinite(value)).toBe(true);
    expect(row.spread).toBeGreaterThanOrEqual(0);
  }
});

describe('bad input is one line and status 1', () => {
  it.each([
    ['--op gelus', 'error: --op must be add, attention,'],
    ['--variant thread', 'error: --variant needs --op'],
    ['--op gelu --watch', "error: unknown option '--watch'"],
    ['--op gelu --shaders no-such-folder', 'error: no-such-folder: no such file or folder'],
    // Found in the page: which variants there are depends on its device.
    ['--op layernorm --variant quad', 'error: --variant must be thread or workgroup here, got "quad"'],
  ])('%s', async (flags, message) => {
    const { status, stderr } = await run(BENCH, flags);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(1);
  });
});

it('refuses a kernel that fails its check in the browser, and does not time it', async () => {
  const shaders = join(folder, 'wrong');
  cpSync('shaders', shaders, { recursive: true });
  const file = join(shaders, 'gelu.wgsl');
  writeFileSync(file, readFileSync(file, 'utf8').replace('y[i] = xHeld[k]', 'y[i] = 2.0 * xHeld[k]'));
  const { status, stdout, stderr } = await run(BENCH, ['--op', 'gelu', '--shaders', shaders]);
  expect(stderr).toMatch(/^error: gelu .*: its output is off by .*, so it is not timed\n$/);
  expect(stdout).not.toMatch(/^gelu/m);
  expect(status).toBe(1);
});

it.runIf(process.platform === 'linux').each([
  ['renderer', 'error: the page crashed'],
  ['gpu-process', 'error: the device was lost'],
])('says so in one line when its %s is killed', async (type, message) => {
  const { status, stderr } = await run(BENCH, ['--op', 'matmul'], async child => {
    let printed = '';
    child.stdout!.on('data', (text: string) => {
      printed += text;
    });
    await until(() => printed.includes('adapter: '), child);
    process.kill(descendant(child, `--type=${type}`), 'SIGKILL');
  });
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(status).toBe(1);
});

/** The id of the process below `child` that has `flag` on its command line. */
function descendant(child: ChildProcess, flag: string): number {
  const parents = new Map<number, number>();
  const flagged: number[] = [];
  for (const pid of readdirSync('/proc').map(Number).filter(Boolean))
    try {
      // "pid (name) state parent …", and a name may hold anything.
      parents.set(pid, Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1]));
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]/).includes(flag)) flagged.push(pid);
    } catch {} // It ended meanwhile.
  const below = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === child.pid || below(parents.get(pid)));
  const found = flagged.filter(below);
  if (found.length === 0) throw new Error(`no process with ${flag}`);
  return found[0]!;
}
