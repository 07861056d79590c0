// The profiler as a user has it: a step of a small run, on the terminal, as a page and as a trace; and what it refuses.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openNodeGpu } from '../../src/platform/node.ts';
import type { Trace } from '../../tools/profile/trace.ts';
import { contents, run, scratch, succeed, TINY } from './child.ts';

const folder = scratch();
const out = join(folder, 'run');
const flags = [...TINY.split(' '), '--out', out];
const { gpu, close } = await openNodeGpu();
const measures = gpu.features.has('timestamp-query');
await close();

const profile = (...words: string[]) => succeed('tools/profile.ts', words);
const traceAt = (path: string): Trace => JSON.parse(readFileSync(path, 'utf8')) as Trace;
const partsOf = ({ traceEvents }: Trace): string[][] =>
  traceEvents.flatMap(e => (e.ph === 'X' && e.cat === 'kernel' ? [String(e.args!.part).split(' › ')] : []));

describe.skipIf(!measures)('a profile', () => {
  test('shows the last stage with its latents, and writes nothing but what it says', async () => {
    const trace = join(folder, 'traces', 'last.json');
    const text = await profile('--steps', '2', 'train.ts', ...flags, '--trace', trace);
    expect(text).toMatch(
      /^adapter: .*\npointer, stage 2 of 2 · 1 layer of width 16 · 8 rows a step, 2 steps measured\n/,
    );
    for (const row of [/^step +[\d.]+ m?s /m, /^forward +[\d.]+ /m, /^ {2}latent 2 and text +[\d.]+ /m])
      expect(text).toMatch(row);
    expect(text).toMatch(/^ *[\d.]+ +[\d.]+ % +\d+ +[\d.]+ +[\d.]+ % {2}matmul/m);
    expect(text.split('\n').slice(-3)).toEqual([
      `${out}/profile.html shows where the time goes`,
      `${trace} opens in ui.perfetto.dev`,
      '',
    ]);
    expect(contents(out).map(line => line.split(' ')[0])).toEqual(['profile.html']);
    expect(readFileSync(join(out, 'profile.html'), 'utf8')).toContain('latent 2 and text');

    const parts = partsOf(traceAt(trace));
    expect(new Set(parts.map(([step]) => step))).toEqual(new Set(['step 1', 'step 2']));
    const inStep = new Set(parts.map(path => path.slice(1, 4).join(' › ')));
    for (const part of [
      'forward › question › embedding',
      'forward › question › block 0',
      'forward › latent 1 › block 0',
      'forward › latent 2 and text › head and loss',
      'backward › latent 2 and text › head and loss',
      'backward › question › block 0',
      'optimizer',
    ])
      expect(inStep).toContain(part);
    // With a window of 1 the first latent is a constant.
    expect([...inStep].filter(part => part.startsWith('backward › latent 1 '))).toEqual([]);
    // Both steps do the same.
    const of = (step: string) => parts.filter(([name]) => name === step).map(path => path.slice(1).join());
    expect(of('step 1')).toEqual(of('step 2'));
    // Every dispatch belongs to a part.
    expect(parts.every(path => path.length > 1)).toBe(true);
  });

  test('--stage takes another stage, and --mode another arm', async () => {
    const trace = join(folder, 'first.json');
    const page = join(folder, 'first.html');
    const [first, cot] = await Promise.all([
      profile('--steps', '1', 'train.ts', ...flags, '--stage', '0', '--trace', trace, '--out', page),
      profile('train.ts', ...flags, '--mode', 'cot', '--', '--steps', '1', '--out', join(folder, 'cot.html')),
    ]);
    expect(first).toContain('pointer, stage 0 of 2 ·');
    expect(first).toContain(`${page} shows where the time goes`);
    expect(new Set(partsOf(traceAt(trace)).map(([, , part]) => part))).toContain('whole row');
    expect(first).not.toContain('latent 1');
    expect(cot).toContain('pointer, cot ·');
  });
});

describe('--help', () => {
  test("shows the profiler's flags, and after train.ts those of train.ts", async () => {
    const [own, train] = await Promise.all([profile('--help'), profile('train.ts', '--help')]);
    expect(own).toMatch(/^Usage: node tools\/profile\.ts \[options\] train\.ts \[flags of train\.ts\]/);
    expect(own).toMatch(/--trace <file>/);
    expect(train).toMatch(/^Usage: train\.ts/);
  });
});

describe('bad flags', () => {
  const refused = join(folder, 'refused');
  test.each([
    [['--steps', '3'], /^error: say what to profile/],
    [['--steps', 'x', 'train.ts'], /^error: --steps must be an integer/],
    [['train.ts', ...flags, '--stepz', '4'], /^error: unknown flag --stepz; did you mean --steps\?/],
    [['train.ts', ...flags, '--hops', '4'], /^error: --hops 4 .*--nodes/],
    [
      ['train.ts', ...flags, '--out', refused, '--stage', '3'],
      /^error: --stage 3: the stages of this run are 0 to 2/,
    ],
    [
      ['train.ts', ...flags, '--out', refused, '--mode', 'cot', '--stage', '1'],
      /^error: --stage 1: this run has no stage but 0/,
    ],
    [['train.ts', '--resume', join(folder, 'nowhere')], /^error: --resume \S+nowhere: no such folder/],
    [['train.ts', '--data', join(folder, 'nowhere.json')], /^error: \S+nowhere\.json: no such file/],
  ])('%j', async (words, says) => {
    const { status, stdout, stderr } = await run('tools/profile.ts', words);
    expect(stdout).toBe('');
    expect(stderr).toMatch(says);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect(status).toBe(1);
    expect(existsSync(refused)).toBe(false);
  });
});
