// Two thousand steps of the trainer, through all stages, validations and checkpoints: neither the device's memory nor
// the process's grows.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isStep, metrics, run, scratch, TINY } from './child.ts';

const STEPS = 2000;
/** Of the resident memory at step 200, and how much more there may be at the end. */
const EARLY = 200;
const GROWTH = 1.1;

const folder = scratch();
const out = join(folder, 'run');

/** The last step in metrics.jsonl. */
function lastStep(): number {
  const path = join(out, 'metrics.jsonl');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return Number([...text.matchAll(/"kind":"step","arm":"coconut","step":(\d+)/g)].at(-1)?.[1] ?? 0);
}

/** Resident bytes of a process; undefined once it has ended, and where there is no /proc. */
function residentBytes(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}

test(`${STEPS} steps need no more memory than ${EARLY}`, async context => {
  const flags = '--stage-steps 1000,500,500 --stage-check-every 250 --checkpoint-every 500 --log-every 10';
  const samples: { step: number; bytes: number }[] = [];
  const { status, stderr } = await run('train.ts', `${TINY} ${flags} --out ${out}`, async child => {
    while (child.exitCode === null && child.signalCode === null) {
      const bytes = residentBytes(child.pid!);
      if (bytes !== undefined) samples.push({ step: lastStep(), bytes });
      await sleep(200);
    }
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);

  const live = metrics(out)
    .filter(isStep)
    .filter(({ step }) => step >= 20)
    .map(({ liveBytes }) => liveBytes);
  expect(live).toHaveLength(STEPS / 10 - 1);
  expect(new Set(live).size).toBe(1);

  if (samples.length === 0) return context.skip('this system has no /proc to read a process from');
  const early = samples.find(({ step }) => step >= EARLY)!;
  const last = samples.findLast(({ step }) => step >= STEPS - 100)!;
  const mebibytes = ({ step, bytes }: typeof early) => `${Math.round(bytes / 2 ** 20)} MiB at step ${step}`;

  expect(last.bytes, `${mebibytes(early)}, ${mebibytes(last)}`).toBeLessThanOrEqual(GROWTH * early.bytes);
});
