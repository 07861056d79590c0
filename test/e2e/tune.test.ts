// --tune from the command line: what it measures, that choices make a run's bits, and that --resume keeps them.
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cacheFolder } from '../../src/platform/cache.ts';
import { metrics, run, scratch, succeed, TINY, until, weights } from './child.ts';

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

test('a run measures, remembers, and goes on with what it has chosen', async () => {
  const first = join(folder, 'first');
  expect(line(await train(first))).toMatch(
    /^tuning quick: \d+ classes of matrix products, 0 remembered, \d+ measured in [\d.]+ s; /,
  );
  const measured = choices(first, 16);
  expect(choices(first, 0)).toEqual(measured);
  const json = JSON.parse(readFileSync(memory(), 'utf8'));
  expect(json.quick).toEqual(measured);

  // Every class gets a variant that no default is, so that using the choices shows in the bits.
  const other = Object.fromEntries(Object.keys(measured).map(key => [key, 'tiled-32x32']));
  writeFileSync(memory(), JSON.stringify({ ...json, quick: other }));
  const [a, b] = [join(folder, 'a'), join(folder, 'b')];
  const said = await Promise.all([train(a), train(b)]);
  for (const text of said)
    expect(line(text)).toBe(
      `tuning quick: ${Object.keys(other).length} classes of matrix products, all remembered`,
    );
  expect(choices(a, 16)).toEqual(other);
  expect(weights(b).equals(weights(a))).toBe(true);
  const byDefault = join(folder, 'default');
  expect(await succeed('train.ts', [...TINY.split(' '), '--out', byDefault])).not.toContain('tuning');
  expect(weights(byDefault).equals(weights(a))).toBe(false);

  // Killed and resumed, with another memory meanwhile.
  const out = join(folder, 'killed');
  const flags = [...TINY.split(' '), '--tune', 'quick', '--out', out];
  const killed = await run('train.ts', flags, async child => {
    await until(() => readdirSync(folder).includes('killed') && metricsReach(out, 6), child);
    child.kill('SIGKILL');
  });
  expect(killed.signal).toBe('SIGKILL');
  writeFileSync(memory(), 'rubbish');
  const refused = await run('train.ts', ['--resume', out, '--tune', 'full']);
  expect(refused.stderr).toBe('error: --tune full contradicts --resume: the run has --tune quick\n');
  const resumed = await succeed('train.ts', ['--resume', out]);
  expect(line(resumed)).toBe(`tuning: ${Object.keys(other).length} choices from the checkpoint`);
  expect(resumed).not.toContain('measured');
  expect(weights(out).equals(weights(a))).toBe(true);
  expect(choices(out, 16)).toEqual(other);
  expect(readFileSync(memory(), 'utf8')).toBe('rubbish');

  const again = join(folder, 'again');
  const lines = (await train(again)).split('\n').filter(text => text.startsWith('tuning'));
  expect(lines).toEqual([
    expect.stringMatching(/^tuning: \S+tuning-\S+\.json: not valid JSON: .*; measured again$/),
    expect.stringContaining(' 0 remembered, '),
  ]);
});

function metricsReach(out: string, step: number): boolean {
  try {
    return metrics(out).some(record => record.step >= step);
  } catch {
    return false; // There is no file yet, or its last line is being written.
  }
}
