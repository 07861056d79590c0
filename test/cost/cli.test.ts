// The cost tool as its user has it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BatchCost } from '../../tools/cost/tables.ts';
import { run, scratch, succeed } from '../e2e/child.ts';

const folder = scratch();
const COST = 'tools/cost.ts';

it('costs a preset, by batch and by part', async () => {
  const json = join(folder, 'cost.json');
  const printed = await succeed(COST, `--preset pointer --batch 1,4 --parts 4 --json ${json}`);
  expect(printed).toMatch(
    /^pointer: 2 layers, width 96, .* rows of 26 columns: question 18, 3 latents \(window 2\)/,
  );
  for (const word of ['H100-class', 'laptop-class', '| 4 |', 'forward: latent columns', 'whole step'])
    expect(printed).toContain(word);
  const { costs } = JSON.parse(readFileSync(json, 'utf8')) as { costs: BatchCost[] };
  expect(costs.map(({ batch }) => batch)).toEqual([1, 4]);
  for (const { latents, written } of costs)
    expect(latents.dispatches.length).toBeGreaterThan(written!.dispatches.length);
  // Operations grow with the rows, dispatches hardly.
  expect(costs[1]!.latents.productFlops).toBe(4 * costs[0]!.latents.productFlops);
});

it('costs a config, on rows and a machine of one’s own', async () => {
  const flags =
    '--config tools/cost/gpt2-small.json --columns 64 --latents 2 --text 9 --batch 2 --machine 100,1000,5';
  const printed = await succeed(COST, flags);
  expect(printed).toContain(
    '124.4 M parameters; rows of 64 columns: question 51, 2 latents (window full), 9 labelled',
  );
  expect(printed).toContain('(100 TFLOP/s, 1000 GB/s, 5 µs a dispatch)');
  expect(printed).not.toContain('laptop-class');
});

it('cuts a batch that one binding cannot span, as the trainer does', async () => {
  const flags = '--config tools/cost/gpt2-small.json --columns 1024 --batch 128,512';
  const printed = await succeed(COST, flags);
  const dispatches = (batch: number): number =>
    Number(new RegExp(`^\\| ${batch} \\|.*?\\|.*?\\| (\\d+) \\|`, 'm').exec(printed)![1]);
  expect(dispatches(512)).toBeGreaterThan(2 * dispatches(128));
});

it('explains its columns', async () => {
  const help = await succeed(COST, '--help');
  for (const word of ['--preset', '--config', '--machine', 'binds', 'chain', 'tax'])
    expect(help).toContain(word);
});

describe('bad input is one line and status 1', () => {
  const broken = join(folder, 'config.json');
  writeFileSync(broken, '{"vocab_size": 0}');
  it.each([
    ['', 'error: give --preset or --config'],
    ['--preset smoke --config x.json', 'error: give --preset or --config'],
    ['--preset large', 'error: --preset must be smoke, pointer, prosqa-mini or prosqa, got "large"'],
    ['--config no-such.json', 'error: no-such.json: no such file'],
    [`--config ${broken}`, `error: ${broken}: vocab_size must be a positive integer`],
    ['--preset smoke --columns 5', 'error: --columns 5: no room for a question'],
    [
      '--config tools/cost/gpt2-small.json --columns 2000',
      'error: --columns 2000: tools/cost/gpt2-small.json has only',
    ],
    [
      '--preset smoke --machine 1,2',
      'error: --machine must be TFLOP/s,GB/s,µs such as 60,3350,10, got "1,2"',
    ],
    ['--preset smoke --batch 0', 'error: --batch must be positive integers'],
    ['--bogus', "error: unknown option '--bogus'"],
  ])('%s', async (flags, message) => {
    const { status, stderr } = await run(COST, flags.split(' ').filter(Boolean));
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(1);
  });
});
