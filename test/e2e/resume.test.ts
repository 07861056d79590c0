// A run that is killed or interrupted and goes on with --resume ends in the same bits as one that never was.
import type { ChildProcess } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  contents,
  type Ended,
  isStep,
  metrics,
  results,
  run,
  scratch,
  succeed,
  TINY,
  timeless,
  until,
  weights,
} from './child.ts';

const folder = scratch();
const whole = join(folder, 'whole');
const flags = [...TINY.split(' '), '--compare'];
const ARMS = ['', 'cot', 'no-cot'];

beforeAll(async () => {
  await succeed('train.ts', [...flags, '--out', whole]);
});

const metricsText = (dir: string): string => {
  const path = join(dir, 'metrics.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};
/** Whether an arm has logged this step. */
const reached = (dir: string, arm: string, step: number) => (): boolean =>
  metricsText(dir).includes(`{"kind":"step","arm":"${arm}","step":${step},`);

/** A run that gets `signal` as soon as `moment` has come. */
async function interrupted(out: string, moment: () => boolean, signal: NodeJS.Signals): Promise<Ended> {
  return run('train.ts', [...flags, '--out', out], async (child: ChildProcess) => {
    await until(moment, child);
    child.kill(signal);
  });
}

/** Records without what clock and memory decide: those of equal runs are equal. */
const told = (dir: string): unknown[] =>
  metrics(dir).map(record => {
    const { kind, arm, step, stage, samples } = record;
    const loss = isStep(record) ? record.loss : null;
    return { kind, arm, step, stage, samples, loss };
  });

function expectSame(out: string): void {
  for (const arm of ARMS)
    expect(weights(join(out, arm)).equals(weights(join(whole, arm))), arm || 'coconut').toBe(true);
  expect(told(out)).toEqual(told(whole));
  // Memory at its peak is measured since the process began.
  const lasting = (dir: string) => timeless(dir).map(arm => ({ ...(arm as object), peakBytes: 0 }));
  expect(lasting(out)).toEqual(lasting(whole));
  const leftovers = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter(name =>
    /\.(partial|replaced)/.test(name),
  );
  expect(leftovers).toEqual([]);
  for (const file of ['results.json', 'report.html', 'samples.json'])
    expect(existsSync(join(out, file)), file).toBe(true);
}

describe.concurrent('kill -9', () => {
  const moments: [string, (out: string) => () => boolean][] = [
    ['as soon as there is a checkpoint', out => () => existsSync(join(out, 'checkpoints', '0'))],
    ['between two checkpoints', out => reached(out, 'coconut', 6)],
    // `.partial` is its name before it is whole; step 12 ends a stage.
    [
      'while a checkpoint is written',
      out => () => ['12.partial', '12'].some(name => existsSync(join(out, 'checkpoints', name))),
    ],
    ['in the second arm', out => reached(out, 'cot', 7)],
    ['while the second arm starts', out => () => existsSync(join(out, 'samples.json'))],
  ];
  test.each(moments)('%s', async (name, moment) => {
    const out = join(folder, name.replaceAll(' ', '-'));
    const { signal } = await interrupted(out, moment(out), 'SIGKILL');
    expect(signal).toBe('SIGKILL');
    expect(existsSync(join(out, 'results.json'))).toBe(false);
    expect(await succeed('train.ts', ['--resume', out])).toContain(`${out}: going on with`);
    expectSame(out);
  });

  test('twice in one run', async () => {
    const out = join(folder, 'twice');
    await interrupted(out, reached(out, 'coconut', 3), 'SIGKILL');
    const second = await run('train.ts', ['--resume', out], async child => {
      await until(reached(out, 'coconut', 13), child);
      child.kill('SIGKILL');
    });
    expect(second.signal).toBe('SIGKILL');
    await succeed('train.ts', ['--resume', out]);
    expectSame(out);
  });
});

test.concurrent('with dropout, micro-batches and recomputed blocks too', async () => {
  const own = [...TINY.split(' '), '--dropout', '0.2', '--micro-batch', '3', '--recompute'];
  const [uninterrupted, out] = [join(folder, 'dropout-whole'), join(folder, 'dropout')];
  await succeed('train.ts', [...own, '--out', uninterrupted]);
  const killed = await run('train.ts', [...own, '--out', out], async child => {
    await until(reached(out, 'coconut', 10), child);
    child.kill('SIGKILL');
  });
  expect(killed.signal).toBe('SIGKILL');
  await succeed('train.ts', ['--resume', out]);
  expect(weights(out).equals(weights(uninterrupted))).toBe(true);
  expect(told(out)).toEqual(told(uninterrupted));
  expect(weights(out).equals(weights(whole))).toBe(false);
  const config = JSON.parse(readFileSync(join(out, 'final', 'config.json'), 'utf8'));
  expect(config).toMatchObject({ embd_pdrop: 0.2, attn_pdrop: 0.2, resid_pdrop: 0.2 });
});

test.concurrent('Ctrl-C writes a checkpoint and says in one line how to go on', async () => {
  const out = join(folder, 'stopped');
  const { status, stderr, stdout } = await interrupted(out, reached(out, 'coconut', 5), 'SIGINT');
  expect(status).toBe(1);
  expect(stdout).toContain('stopping after this step');
  const step = /^error: stopped at step (\d+); go on with --resume \S+\n$/.exec(stderr)?.[1];
  expect(Number(step), stderr).toBeGreaterThanOrEqual(5);
  expect(existsSync(join(out, 'checkpoints', step!, 'trainer.json'))).toBe(true);
  expect(metrics(out).at(-1)!.step).toBe(Number(step));
  await succeed('train.ts', ['--resume', out]);
  expectSame(out);
});

test.concurrent('a finished run evaluates again and ends', async () => {
  const out = join(folder, 'finished');
  cpSync(whole, out, { recursive: true });
  for (const path of ['results.json', 'report.html', 'no-cot/final'])
    rmSync(join(out, path), { recursive: true });
  await succeed('train.ts', ['--resume', out]);
  expectSame(out);
  expect(results(out).arms.map(arm => arm.steps)).toEqual([16, 16, 16]);
});

test.concurrent('a run whose --init folder was its own, moved aside since, goes on', async () => {
  const out = join(folder, 'init');
  const own = TINY.replace('--layers 1 --width 16 ', '').split(' ');
  cpSync(whole, out, { recursive: true });
  const child = await run('train.ts', [...own, '--init', join(out, 'final'), '--out', out], async process => {
    const aside = join(out, 'earlier-1', 'report.html');
    await until(() => existsSync(aside) && reached(out, 'coconut', 5)(), process);
    process.kill('SIGKILL');
  });
  expect(child.signal).toBe('SIGKILL');
  await succeed('train.ts', ['--resume', out]);
  const uninterrupted = join(folder, 'init-whole');
  await succeed('train.ts', [...own, '--init', join(whole, 'final'), '--out', uninterrupted]);
  expect(weights(out).equals(weights(uninterrupted))).toBe(true);
});

test.concurrent('--steps goes on beyond an end that was also that of a stage', async () => {
  const short = join(folder, 'short-stage');
  await succeed('train.ts', [...TINY.split(' '), '--steps', '8', '--out', short]);
  await succeed('train.ts', ['--resume', short, '--steps', '16']);
  expect(weights(short).equals(weights(whole))).toBe(true);
  const stages = (dir: string) =>
    metrics(dir).flatMap(({ kind, arm, step, stage }) =>
      kind === 'stage' && arm === 'coconut' ? [[step, stage]] : [],
    );
  expect(stages(short)).toEqual(stages(whole));
});

test.concurrent('--steps goes on beyond an earlier end, and other options stay what they were', async () => {
  const short = join(folder, 'short');
  await succeed('train.ts', [...TINY.split(' '), '--steps', '6', '--out', short]);
  expect(results(short).arms[0]!.steps).toBe(6);
  const before = contents(short);
  const contradiction = await run('train.ts', ['--resume', short, '--lr', '0.5']);
  expect(contradiction.status).toBe(1);
  expect(contradiction.stderr).toMatch(/^error: --lr 0\.5 contradicts --resume: the run has --lr \S+\n$/);
  expect(contents(short)).toEqual(before);
  await succeed('train.ts', ['--resume', short, '--steps', '16']);
  expect(weights(short).equals(weights(whole))).toBe(true);
});
