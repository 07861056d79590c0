// What `npm test` counts: nothing that went wrong may be counted as nothing.
import { expect, it } from 'vitest';
import { countTests } from '../tools/check/count.ts';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map(test => ({ status: test })),
});

const count = (status: number, ...testResults: ReturnType<typeof file>[]) =>
  countTests(JSON.stringify({ testResults }), status);

it('counts passed and failed tests, and skipped ones as neither', () => {
  const ok = file('passed', 'passed', 'passed', 'skipped', 'pending', 'todo');
  expect(count(0, ok)).toEqual({ passed: 2, failed: 0, skipped: 3 });
  expect(count(1, ok, file('failed', 'failed', 'passed'))).toEqual({ passed: 3, failed: 1, skipped: 3 });
});

it('counts a file that did not load, or whose hooks failed, as one failed test', () => {
  expect(count(1, file('passed', 'passed'), file('failed'))).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(count(1, file('failed', 'passed', 'skipped'))).toEqual({ passed: 1, failed: 1, skipped: 1 });
});

it('counts a run that ended badly with no failed test, without tests or without a report as failed', () => {
  expect(count(1, file('passed', 'passed'))).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(count(0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(count(0, file('passed', 'skipped'))).toEqual({ passed: 0, failed: 1, skipped: 1 });
  expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});
