// A finished run of train.ts --mode lm against PyTorch: the same batches from the same first weights, loss by loss.
// Knows the run's folder and the script that trains in PyTorch; knows no test.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFiles } from '../../src/platform/files.ts';
import { Course } from '../../src/train/course.ts';
import { parseMetrics } from '../../src/train/metrics.ts';
import { prepare } from '../../src/train/prepare.ts';
import { optionsFromJson } from '../../src/train/settings.ts';

export interface StepLosses {
  readonly ours: number;
  readonly torch: number;
}

/** A Python that has torch, Debian's `python3-torch` say; undefined where there is none. */
export function pythonWithTorch(): string | undefined {
  return ['python3', '/usr/bin/python3'].find(
    python => spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0,
  );
}

/** Of each step of a run that logged every one (--log-every 1): its loss, and PyTorch's in float64 or float32. */
export async function stepLosses(
  run: string,
  python: string,
  dtype: 'F64' | 'F32' = 'F64',
): Promise<StepLosses[]> {
  const first = join(run, 'checkpoints', '0');
  const trainer = JSON.parse(readFileSync(join(first, 'trainer.json'), 'utf8'));
  const options = optionsFromJson(trainer.options, 'trainer.json');
  const metrics = join(run, 'metrics.jsonl');
  const ours = parseMetrics(readFileSync(metrics, 'utf8'), metrics).flatMap(record =>
    record.kind === 'step' ? [record.loss] : [],
  );
  // What the run read, asked for again: row i is a function of seed and i.
  const setup = await prepare(options, nodeFiles);
  const course = new Course({ mode: 'lm', samples: null }, setup, options);
  const batches = ours.map((_, step) => course.rows(step * options.batch, 0).map(({ tokens }) => tokens));
  const folder = mkdtempSync(join(tmpdir(), 'mentalese-lm-'));
  try {
    const [given, losses] = [join(folder, 'batches.json'), join(folder, 'losses.json')];
    writeFileSync(given, JSON.stringify(batches));
    const script = join(import.meta.dirname, 'lm_reference.py');
    const flags = ['--model', first, '--batches', given, '--out', losses, '--dtype', dtype];
    const { status, stderr } = spawnSync(python, [script, ...flags], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${python} ${script}: ${stderr}`);
    const torch = JSON.parse(readFileSync(losses, 'utf8')) as number[];
    return ours.map((loss, step) => ({ ours: loss, torch: torch[step]! }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
