// The command line as a user has it: train.ts and the tools as processes of their own, at most two at a time.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect } from 'vitest';
import { type MetricRecord, parseMetrics, type StepRecord } from '../../src/train/metrics.ts';
import type { RunResults } from '../../src/train/results.ts';

/** Node keeps what it compiled here, so that the many processes of a test file start in a fifth of the time. */
const COMPILED = scratch();
const ROOT = join(import.meta.dirname, '..', '..');
const AT_ONCE = 2;

/** A run of seconds with all that a run has: three stages, latents, checkpoints, a final evaluation. */
export const TINY =
  '--preset smoke --nodes 4 --hops 2 --layers 1 --width 16 --batch 8 --warmup 4 --stage-steps 8,4,4 ' +
  '--stage-check-every 8 --valid-samples 4 --eval-samples 6 --report-samples 2 --log-every 1 --checkpoint-every 4';

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

let running = 0;
const waiting: (() => void)[] = [];

/**
 * Runs `node script …flags` in the repository. `flags` are words, or one text of them. `meanwhile` gets the process
 * once it has started; the call ends when both have.
 */
export async function run(
  script: string,
  flags: string | readonly string[],
  meanwhile: (child: ChildProcess) => Promise<void> = async () => {},
): Promise<Ended> {
  if (running >= AT_ONCE) await new Promise<void>(resolve => waiting.push(resolve));
  running++;
  try {
    const words = typeof flags === 'string' ? flags.split(' ') : flags;
    const child = spawn(process.execPath, [script, ...words], {
      cwd: ROOT,
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
    });
    await meanwhile(child);
    return await ended;
  } finally {
    running--;
    waiting.shift()?.();
  }
}

/** The same for a run that must end well: its output. */
export async function succeed(script: string, flags: string | readonly string[]): Promise<string> {
  const { status, signal, stdout, stderr } = await run(script, flags);
  expect(stderr).toBe('');
  expect([status, signal]).toEqual([0, null]);
  return stdout;
}

/** A folder for a test file, removed after its last test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mentalese-e2e-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Waits until `happened`, as long as the process lives. */
export async function until(happened: () => boolean, child: ChildProcess): Promise<void> {
  while (!happened()) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error('it ended before that happened');
    await sleep(2);
  }
}

export function metrics(folder: string): MetricRecord[] {
  const path = join(folder, 'metrics.jsonl');
  return parseMetrics(readFileSync(path, 'utf8'), path);
}

export function isStep(record: MetricRecord): record is StepRecord {
  return record.kind === 'step';
}

export function results(folder: string): RunResults {
  return JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as RunResults;
}

/** Results without what the clock decides: equal for equal runs. */
export function timeless(folder: string): unknown[] {
  return results(folder).arms.map(arm => ({ ...arm, trainSeconds: 0, stepSeconds: 0, secondsPerSample: 0 }));
}

export function weights(folder: string): Buffer {
  return readFileSync(join(folder, 'final', 'model.safetensors'));
}

/** Every file below a folder with its size and time of change: two equal ones mean that nothing was written. */
export function contents(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map(name => {
      const { size, mtimeMs } = statSync(join(folder, name));
      return `${name} ${size} ${mtimeMs}`;
    });
}
