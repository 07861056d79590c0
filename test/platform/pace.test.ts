// Dawn's looks for finished work, slowed down. What Dawn passes to setImmediate is a native function; so is a bound one.
import { setImmediate as promised } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { paceDawn } from '../../src/platform/pace.ts';

/** Turns of the event loop, up to 10,000, until a native callback is called. */
async function turnsOfNative(): Promise<number> {
  let called = false;
  const look = function (this: undefined): void {
    called = true;
  };
  setImmediate(look.bind(undefined));
  let turns = 0;
  // promised() is the module's own and not paced.
  while (!called && turns < 10_000) {
    await promised();
    turns++;
  }
  return turns;
}

it('lets native callbacks wait for a timer while any device asks for it, and others never', async () => {
  expect(await turnsOfNative()).toBeLessThanOrEqual(1);
  const [first, second] = [paceDawn(), paceDawn()];
  expect(await turnsOfNative()).toBeGreaterThan(1);
  let ran = false;
  setImmediate(() => {
    ran = true;
  });
  await promised();
  expect(ran, 'a callback of ours').toBe(true);
  first();
  first();
  expect(await turnsOfNative(), 'one device is still open').toBeGreaterThan(1);
  second();
  expect(await turnsOfNative()).toBeLessThanOrEqual(1);
});

it('leaves setImmediate what it was otherwise: arguments, clearImmediate, promises', async () => {
  const end = paceDawn();
  expect(await promisify(setImmediate)('value')).toBe('value');
  const got = await new Promise(resolve => setImmediate((...given: number[]) => resolve(given), 1, 2));
  expect(got).toEqual([1, 2]);
  let cleared = true;
  clearImmediate(
    setImmediate(() => {
      cleared = false;
    }),
  );
  await promised();
  expect(cleared).toBe(true);
  end();
});
