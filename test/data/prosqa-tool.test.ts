import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { prosqaSample } from '../../src/data/prosqa.ts';
import { parseSamples } from '../../src/data/sample.ts';

const folder = mkdtempSync(join(tmpdir(), 'prosqa-'));
afterAll(() => rmSync(folder, { recursive: true }));

const out = join(folder, 'data.json');
function run(...flags: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/prosqa.ts', ...flags], {
    encoding: 'utf8',
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  });
  return { status, stdout, stderr };
}

describe('tools/prosqa.ts', () => {
  it('writes the samples of its seed in the published form', () => {
    expect(run('--count', '3', '--seed', '4', '--out', out)).toEqual({
      status: 0,
      stdout: `${out}: 3 samples\n`,
      stderr: '',
    });
    const samples = parseSamples(readFileSync(out, 'utf8'), out);
    expect(samples).toEqual([0, 1, 2].map(index => prosqaSample(4, index)));
    expect(readdirSync(folder)).toEqual(['data.json']);
    const small = run('--count', '2', '--out', out, '--nodes', '12', '--hops', '2');
    expect(small.status).toBe(0);
    expect(parseSamples(readFileSync(out, 'utf8'), out).map(({ steps }) => steps.length)).toEqual([2, 2]);
  });

  it('explains itself with defaults', () => {
    const { status, stdout } = run('--help');
    expect(status).toBe(0);
    for (const part of ['--count <n>', '(default: 0)', '(default: 28)', '(default: 3-6)']) {
      expect(stdout).toContain(part);
    }
  });

  it.each([
    [['--count', '3'], /--out/],
    [['--out', 'F'], /--count/],
    [['--count', 'abc', '--out', 'F'], /--count must be an integer from 1 to 200000, got "abc"/],
    [['--count', '0', '--out', 'F'], /--count/],
    [['--count', '3', '--out', 'F', '--seed', '-1'], /--seed/],
    [['--count', '3', '--out', 'F', '--hops', '6-3'], /--hops/],
    [['--count', '3', '--out', 'F', '--hops', '9', '--nodes', '10'], /9 hops away needs at least 12 nodes/],
    [['--count', '3', '--out', 'F', '--hops', '20', '--nodes', '23'], /hardly any graph/],
    [['--count', '3', '--out', 'F', '--nodes', '41'], /at most 40/],
    [['--count', '3', '--out', 'F', '--wrong'], /--wrong/],
    [['--count', '3', '--out', 'F', 'extra'], /extra/],
    [['--count', '3', '--out', 'F/none/data.json'], /none.data\.json: cannot write/],
  ])('refuses %j in one line and writes nothing', (flags, part) => {
    const fresh = join(folder, 'fresh.json');
    const { status, stdout, stderr } = run(...flags.map(flag => flag.replace(/^F/, fresh)));
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toMatch(part);
    expect(existsSync(fresh)).toBe(false);
  });
});
