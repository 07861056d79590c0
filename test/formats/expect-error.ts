// What every message for a user must be: a UserError, one line, naming its file or flag.
import { expect } from 'vitest';
import { UserError } from '../../src/errors.ts';

/** Runs `work`, which must fail with a UserError of one line; returns its message. */
export async function userError(work: () => unknown): Promise<string> {
  let caught: unknown;
  try {
    await work();
  } catch (error) {
    caught = error;
  }
  expect(caught, 'nothing was thrown').toBeDefined();
  if (!(caught instanceof UserError)) throw caught;
  expect(caught.message).not.toMatch(/[\n\r]/);
  return caught.message;
}
