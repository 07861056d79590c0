// --tune from the command line: what it measures, that choices make a run's bits, and that --resume keeps them.
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cacheFolder } from '../../src/platform/cache.ts';
import { run, scratch, succeed, TINY, until, weights } from './child.ts';

const folder = scratch();
// A cache of its own; the software device, which lies in the user's, need not be unpacked again.
const users = cacheFolder();
const home = scratch();
process.env.XDG_CACHE_HOME = home;
mkdirSync(cacheFolder());
for (const name of readdirSync(users).filter(name => name.startsWith('swiftshader-')))
  symlinkSync(join(users, name), join(cacheFolder(), name));

const memory = (): string =>
  join(cacheFolder(), readdirSync(cacheFolder()).find(name => name.startsWith('tuning-'))!);
const line = (text: string): string => text.split('\n').find(part => part.startsWith('tuning'))!;
/** The choices that a run's checkpoint of some step keeps. */
const choices = (out: string, step: number): Record<string, string> =>
  JSON.parse(readFileSync(join(out, 'checkpoints', String(step), 'trainer.json'), 'utf8')).tuned.choices;
const train = (out: string) => succeed('train.ts', [...TINY.split(' '), '--tune', 'quick', '--out', out]);

/** Runs of other choices than measured ones, and those choices. */
const [a, b, killed] = ['a', 'b', 'killed'].map(name => join(folder, name)) as [string, string, string];
let other: Record<string, string> = {};
let tiledByDefault = false;

test('a run measures, and remembers what it has chosen', async () => {
  const out = join(folder, 'measured');
  expect(line(await train(out))).toMatch(
    /^tuning quick: \d+ classes of matrix products, 0 remembered, \d+ measured in [\d.]+ s; /,
  );
  expect(JSON.parse(readFileSync(memory(), 'utf8')).quick).toEqual(choices(out, 16));
  expect(choices(out, 0)).toEqual(choices(out, 16));
  // Where its time is up before every class is measured, as on a slow machine, the next runs measure the rest.
  let complete: string;
  let runs = 0;
  do {
    expect(++runs).toBeLessThan(10);
    complete = join(folder, `complete-${runs}`);
  } while (!line(await train(complete)).includes(', all remembered'));
  const measured = choices(complete, 16);
  const json = JSON.parse(readFileSync(memory(), 'utf8'));
  expect(json.quick).toEqual(measured);
  // For the tests below, every class gets a variant that CPU-run adapters have for no default: it shows in the bits.
  tiledByDefault = Object.values(measured).some(name => name.startsWith('tiled'));
  other = Object.fromEntries(Object.keys(measured).map(key => [key, 'tiled-32x32']));
  writeFileSync(memory(), JSON.stringify({ ...json, quick: other }));
});

test('runs of the same choices have the same bits', async () => {
  for (const text of await Promise.all([train(a), train(b)]))
    expect(line(text)).toBe(
      `tuning quick: ${Object.keys(other).length} classes of matrix products, all remembered`,
    );
  expect(choices(a, 16)).toEqual(other);
  expect(weights(b).equals(weights(a))).toBe(true);
  const byDefault = join(folder, 'default');
  expect(await succeed('train.ts', [...TINY.split(' '), '--out', byDefault])).not.toContain('tuning');
  // On GPUs the defaults are tiled too, and sum in the same order.
  if (!tiledByDefault) expect(weights(byDefault).equals(weights(a))).toBe(false);
});

test('a run that is killed and resumed keeps its choices, whatever is remembered meanwhile', async () => {
  const flags = [...TINY.split(' '), '--tune', 'quick', '--out', killed];
  const { signal } = await run('train.ts', flags, async child => {
    await until(() => existsSync(join(killed, 'checkpoints', '4')), child);
    child.kill('SIGKILL');
  });
  expect(signal).toBe('SIGKILL');
  writeFileSync(memory(), 'rubbish');
  const refused = await run('train.ts', ['--resume', killed, '--tune', 'full']);
  expect(refused.stderr).toBe('error: --tune full contradicts --resume: the run has --tune quick\n');
  const resumed = await succeed('train.ts', ['--resume', killed]);
  expect(line(resumed)).toBe(`tuning: ${Object.keys(other).length} choices from the checkpoint`);
  expect(resumed).not.toContain('measured');
  expect(weights(killed).equals(weights(a))).toBe(true);
  expect(choices(killed, 16)).toEqual(other);
  expect(readFileSync(memory(), 'utf8')).toBe('rubbish');
});

test('a memory that cannot be read is one line, and measured again', async () => {
  const said = (await train(join(folder, 'again'))).split('\n').filter(text => text.startsWith('tuning'));
  expect(said).toEqual([
    expect.stringMatching(/^tuning: \S+tuning-\S+\.json: not valid JSON: .*; measured again$/),
    expect.stringContaining(' 0 remembered, '),
  ]);
});
