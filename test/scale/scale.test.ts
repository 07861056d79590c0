// The trainer in PyTorch (tools/scale) against train.ts: it goes on with a run as train.ts itself would, in one process or
// in two, and gives it back. Where no Python here has torch, only what Node does for it is tested.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { contents, type Ended, isStep, metrics, results, run, scratch, succeed } from '../e2e/child.ts';
import { readSafetensors } from '../reference/safetensors.ts';

/** One with torch and numpy: the system's, as Debian's python3-torch makes it, or the first on the path. */
const python = ['/usr/bin/python3', 'python3'].find(
  name => spawnSync(name, ['-c', 'import torch, numpy']).status === 0,
);
const absent = python ? '' : ' (skipped: neither /usr/bin/python3 nor python3 can import torch and numpy)';

const ROOT = join(import.meta.dirname, '..', '..');
const ROWS = 'tools/scale/rows.ts';
const folder = scratch();
const whole = join(folder, 'whole');
/** Three stages, two of them within the 20 steps after the checkpoint at 10, and batches of earlier ones mixed in. */
const FLAGS =
  '--preset smoke --nodes 5 --hops 2 --width 16 --batch 8 --warmup 4 --stage-steps 14,10,12 --stage-check-every 50 ' +
  '--valid-samples 2 --eval-samples 4 --report-samples 1 --log-every 1 --checkpoint-every 10';
const FROM = 10;
const TO = 30;
const END = 36;

/** The run as it was at the checkpoint of `step`, killed before the next. */
function killed(name: string, step = FROM): string {
  const out = join(folder, name);
  cpSync(whole, out, { recursive: true });
  for (const path of ['final', 'results.json', 'report.html', 'samples.json'])
    rmSync(join(out, path), { recursive: true });
  for (const later of readdirSync(join(out, 'checkpoints')).filter(other => Number(other) > step))
    rmSync(join(out, 'checkpoints', later), { recursive: true });
  return out;
}

/** Writes options into the run's newest checkpoint. */
function withOptions(out: string, options: object, step = FROM): string {
  const path = join(out, 'checkpoints', String(step), 'trainer.json');
  const trainer = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...trainer, options: { ...trainer.options, ...options } }));
  return out;
}

function torch(words: readonly string[]): Promise<Ended> {
  const child = spawn(python!, words, { cwd: ROOT, env: { ...process.env, OMP_NUM_THREADS: '1' } });
  const ended = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      ended[name] += text;
    });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, ...ended }));
  });
}

const train = (...flags: string[]): Promise<Ended> => torch(['tools/scale/train.py', ...flags]);

/** Under torchrun. Debian's 1.13.1 cannot read its own defaults of -r and -t under Python 3.11; port 0: any free one. */
function twoProcesses(...flags: string[]): Promise<Ended> {
  const launch = '-m torch.distributed.run -r 1 -t 1 --rdzv_backend=c10d --rdzv_endpoint=localhost:0';
  return torch([...launch.split(' '), '--nproc_per_node', '2', 'tools/scale/train.py', ...flags]);
}

const stepsOf = (out: string) =>
  new Map(
    metrics(out)
      .filter(isStep)
      .map(record => [record.step, record]),
  );

/** Steps from `from` on have the losses of the other run's within a relative `most`, and its rates exactly. */
function expectFollows(out: string, other: string, from: number, to: number, most: number): void {
  const [mine, theirs] = [stepsOf(out), stepsOf(other)];
  expect([...mine.keys()]).toEqual(Array.from({ length: to }, (_, i) => i + 1));
  for (let step = from + 1; step <= to; step++) {
    const [got, wanted] = [mine.get(step)!, theirs.get(step)!];
    expect([got.stage, got.samples, got.lr]).toEqual([wanted.stage, wanted.samples, wanted.lr]);
    expect(Math.abs(got.loss / wanted.loss - 1), `loss of step ${step}`).toBeLessThan(most);
    expect(Math.abs(got.gradNorm / wanted.gradNorm - 1), `norm of step ${step}`).toBeLessThan(10 * most);
  }
}

const checkpoint = (out: string, step = TO): string => join(out, 'checkpoints', String(step));

beforeAll(async () => {
  await succeed('train.ts', [...FLAGS.split(' '), '--out', whole]);
});

describe(`in PyTorch${absent}`, { skip: !python }, () => {
  const one = join(folder, 'one');
  const rows = join(folder, 'rows.jsonl');
  let told = '';
  beforeAll(async () => {
    killed('one');
    // Written before the run goes on: its first checkpoint is theirs.
    const more = String(TO - FROM);
    writeFileSync(rows, await succeed(ROWS, ['--run', one, '--ranks', '1', '--more', more]));
    const { status, stdout, stderr } = await train('--run', one, '--more', more);
    expect([status, stderr]).toEqual([0, '']);
    told = stdout;
  });

  test('the recurrence has the loss and gradients of the fixtures', async () => {
    const { status, stdout, stderr } = await torch(['test/scale/recurrence.py']);
    expect([status, stderr]).toEqual([0, '']);
    const found = Object.entries(JSON.parse(stdout) as Record<string, { loss: number; worst: number }>);
    expect(found.length).toBeGreaterThan(10);
    // Computed in float64; the fixtures are kept in float32.
    for (const [name, { loss, worst }] of found) expect(Math.max(loss, worst), name).toBeLessThan(1e-6);
  });

  test('20 steps follow ours within 1e-4 of the loss, over two stages', () => {
    expectFollows(one, whole, FROM, TO, 1e-4);
    const stages = metrics(one).filter(({ kind }) => kind === 'stage');
    expect(stages.map(({ step, stage }) => [step, stage])).toEqual([
      [0, 0],
      [14, 1],
      [24, 2],
    ]);
    const lines = told.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\S+one: going on with coconut at step 10 in PyTorch \S+ \(cpu, 1 process\)$/);
    expect(lines.at(-1)).toBe(`go on here, or with node train.ts --resume ${one}`);
  });

  test('its checkpoints have the form of ours', () => {
    expect(readdirSync(join(one, 'checkpoints')).sort()).toEqual(['0', '10', '20', '30']);
    const [mine, ours] = [checkpoint(one), checkpoint(whole)];
    expect(readdirSync(mine)).toEqual(readdirSync(ours));
    for (const file of ['config.json', 'tokenizer.json'])
      expect(readFileSync(join(mine, file), 'utf8'), file).toBe(readFileSync(join(ours, file), 'utf8'));
    for (const file of ['model', 'optimizer'].map(name => `${name}.safetensors`)) {
      const [got, wanted] = [mine, ours].map(dir => [...readSafetensors(join(dir, file))]);
      const form = (all: typeof got) => all!.map(([name, { dtype, shape }]) => [name, dtype, shape]);
      expect(form(got), file).toEqual(form(wanted));
    }
    const trainer = (dir: string) => {
      const { seconds, lastAccuracy, options, ...rest } = JSON.parse(
        readFileSync(join(dir, 'trainer.json'), 'utf8'),
      );
      return { ...rest, options: { ...options, out: '', resume: '' } };
    };
    expect(trainer(mine)).toEqual(trainer(ours));
  });

  test('two processes with half of each batch are one with all of it', async () => {
    const two = killed('two');
    // Micro-batches of 3 of 4 rows: gradients are exchanged after the last of two.
    const { status, stdout, stderr } = await twoProcesses('--run', two, '--more', '20', '--micro-batch', '3');
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('2 processes');
    expectFollows(two, one, FROM, TO, 1e-5);
  });

  test('shards where the build can, and says so in a line where it cannot', async () => {
    const can = spawnSync(python!, ['-c', 'from torch.distributed.fsdp import fully_shard']).status === 0;
    const sharded = killed('sharded');
    const flags = ['--run', sharded, '--more', '20', '--sharded'];
    if (can) {
      const { status, stderr } = await twoProcesses(...flags);
      expect(status, stderr).toBe(0);
      return expectFollows(sharded, one, FROM, TO, 1e-5);
    }
    const before = contents(sharded);
    const { status, stderr } = await train(...flags);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: --sharded: this build of PyTorch \(\S+\) cannot import fully_shard, [^\n]*\n$/,
    );
    expect(contents(sharded)).toEqual(before);
  });

  test('rows from a file give the same bits, once', async () => {
    const filed = join(folder, 'one');
    // They name their run, so it is that one again, as it was.
    cpSync(one, join(folder, 'kept'), { recursive: true });
    for (const later of ['20', '30']) rmSync(checkpoint(one, Number(later)), { recursive: true });
    const first = await train('--run', filed, '--rows', rows);
    expect([first.status, first.stderr]).toEqual([0, '']);
    for (const file of ['model.safetensors', 'optimizer.safetensors'])
      expect(
        readFileSync(join(checkpoint(filed), file)).equals(
          readFileSync(join(checkpoint(join(folder, 'kept')), file)),
        ),
        file,
      ).toBe(true);
    const again = await train('--run', filed, '--rows', rows);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(
      /^error: \S+rows\.jsonl: goes on from \S+\/10, not the newest of \S+: write it anew\n$/,
    );
  });

  test('back in Node the run goes on to its end', async () => {
    await succeed('train.ts', ['--resume', one]);
    expectFollows(one, whole, TO, END, 1e-4);
    expect(results(one).arms).toMatchObject([{ mode: 'coconut', samples: END * 8 }]);
  });

  describe.concurrent('refuses in a line, and leaves the run as it was', () => {
    const broken = (name: string): string => {
      const out = killed(name);
      cpSync(
        join(checkpoint(out, FROM), 'model.safetensors'),
        join(checkpoint(out, FROM), 'optimizer.safetensors'),
      );
      return out;
    };
    const cut = (name: string): string => {
      const out = killed(name);
      const path = join(checkpoint(out, FROM), 'model.safetensors');
      writeFileSync(path, readFileSync(path).subarray(0, -8));
      return out;
    };
    const cases: [string, () => [string, string[]], RegExp][] = [
      ['no folder', () => [folder, ['--run', join(folder, 'none')]], /--run \S+none: no such folder/],
      ['no flag', () => [folder, []], /--run/],
      [
        'another checkpoint',
        () => {
          const out = broken('broken');
          return [out, ['--run', out]];
        },
        /optimizer\.safetensors: lacks m\.transformer\.wte\.weight/,
      ],
      [
        'a checkpoint cut short',
        () => {
          const out = cut('cut');
          return [out, ['--run', out]];
        },
        /model\.safetensors: truncated at /,
      ],
      [
        'an option that it cannot follow',
        () => {
          const out = withOptions(killed('soft'), { feedback: 'soft' });
          return [out, ['--run', out]];
        },
        /--feedback soft, which the trainer in PyTorch cannot do/,
      ],
    ];
    test.each(cases)('%s', async (_, call, mentions) => {
      const [out, flags] = call();
      const before = out === folder ? [] : contents(out);
      const { status, stderr } = await train(...flags);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^error: [^\n]*\n$/);
      expect(stderr).toMatch(mentions);
      if (out !== folder) expect(contents(out)).toEqual(before);
    });
  });
});

describe('the rows that Node gives', () => {
  interface Part {
    readonly B: number;
    readonly T: number;
    readonly ids: readonly number[];
    readonly latents: readonly number[];
  }
  interface Step {
    readonly step: number;
    readonly next: number | null;
    /** Of each process: its micro-batches. */
    readonly parts: readonly (readonly Part[])[];
  }
  /** Head, steps, end. */
  async function rowsOf(...flags: string[]) {
    const text = await succeed(ROWS, flags);
    const [head, ...rest] = text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    const ranks = head.ranks as number;
    const end = rest.pop();
    const steps = Array.from({ length: rest.length / (1 + ranks) }, (_, i) => {
      const [step, ...parts] = rest.slice(i * (1 + ranks), (i + 1) * (1 + ranks));
      return { ...step, parts } as Step;
    });
    return { head, steps, end };
  }

  test('are those of one process, shared out', async () => {
    const out = killed('shared');
    const [alone, shared] = await Promise.all([
      rowsOf('--run', out, '--ranks', '1', '--micro-batch', 'all'),
      rowsOf('--run', out, '--ranks', '4', '--micro-batch', '1'),
    ]);
    expect(alone.steps.map(({ step }) => step)).toEqual(
      Array.from({ length: END - FROM }, (_, i) => FROM + 1 + i),
    );
    const rowsIn = (parts: Step['parts']): string[] =>
      parts
        .flat()
        .flatMap(({ B, ids }) =>
          Array.from({ length: B }, (_, b) => ids.filter((_, i) => i % B === b).join(' ')),
        );
    for (const [i, step] of alone.steps.entries()) {
      const { parts, ...rest } = shared.steps[i]!;
      expect({ ...rest, parts: step.parts }).toEqual(step);
      expect(parts.map(part => part.map(({ B }) => B))).toEqual(Array(4).fill([1, 1]));
      expect(rowsIn(parts)).toEqual(rowsIn(step.parts));
    }
    // Thoughts come in the second stage and the third.
    const most = alone.steps.map(({ parts }) => Math.max(...parts.flat().flatMap(part => part.latents)));
    expect([Math.max(...most.slice(0, 4)), Math.max(...most.slice(4, 14)), Math.max(...most)]).toEqual([
      0, 1, 2,
    ]);
    expect(alone.end).toEqual({
      end: `coconut is trained to its end; node train.ts --resume ${out} evaluates it`,
    });
  });

  test('stay in a stage that ends on accuracy, and say so', async () => {
    const out = withOptions(killed('auto'), { 'stage-steps': 'auto', 'stage-max-steps': 13 });
    const { head, steps } = await rowsOf('--run', out, '--ranks', '1', '--more', '5');
    expect(head.note).toMatch(
      /^stages end on accuracy, which only train\.ts measures: here this one goes on until --stage-max-steps 13, /,
    );
    // Until its longest.
    expect(steps.map(({ step, next }) => [step, next])).toEqual([
      [11, null],
      [12, null],
      [13, 1],
      [14, null],
      [15, null],
    ]);
  });

  const refused: [string, () => string[], RegExp][] = [
    [
      'shares that are not equal',
      () => ['--run', killed('three'), '--ranks', '3'],
      /--ranks 3: a batch of 8 rows has no 3 equal shares/,
    ],
    [
      'a run at its end',
      () => ['--run', whole, '--ranks', '1'],
      /coconut is trained to its end; node train\.ts --resume \S+ goes on/,
    ],
    [
      'a folder without checkpoints',
      () => ['--run', 'docs', '--ranks', '1'],
      /--run docs: holds no checkpoint/,
    ],
    [
      'steps that are no number',
      () => ['--run', whole, '--ranks', '1', '--more', 'x'],
      /--more must be a positive integer/,
    ],
    [
      'step supervision',
      () => ['--run', withOptions(killed('supervised'), { 'step-supervision': 1 }), '--ranks', '1'],
      /--step-supervision 1, which the trainer in PyTorch cannot do/,
    ],
  ];
  test.each(refused)('refuses %s', async (_, flags, mentions) => {
    const { status, stderr, stdout } = await run(ROWS, flags());
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^error: [^\n]*\n$/);
    expect(stderr).toMatch(mentions);
  });
});
