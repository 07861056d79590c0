// `--storage f16` on the command line: refused where the adapter has no f16, else a run that goes on bit for bit.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { testGpu } from '../device.ts';
import { isStep, metrics, run, scratch, TINY, weights } from './child.ts';

const folder = scratch();
const f16 = (await testGpu()).features.has('shader-f16');
const flags = `${TINY} --storage f16`;

it.skipIf(f16)(
  'is refused in one line on an adapter without shader-f16, and nothing is written',
  async () => {
    const out = join(folder, 'refused');
    const { status, stderr } = await run('train.ts', `${flags} --out ${out}`);
    expect(stderr).toMatch(
      /^error: --storage f16: the adapter .* has no shader-f16: train with --storage f32.*\n$/,
    );
    expect(status).toBe(1);
    expect(existsSync(out)).toBe(false);
    const profiled = await run('tools/profile.ts', `train.ts ${flags} --out ${out}`);
    expect(profiled.stderr).toBe(stderr);
  },
);

it.skipIf(!f16)('ends in the same bits where a run was stopped and goes on (needs shader-f16)', async () => {
  const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
  // Drivers that have f16 may have something to say on stderr: only the status counts.
  const ends = async (words: string): Promise<void> => expect((await run('train.ts', words)).status).toBe(0);
  await ends(`${flags} --out ${whole}`);
  await ends(`${flags} --steps 10 --out ${parts}`);
  const saved = JSON.parse(readFileSync(join(parts, 'checkpoints', '10', 'trainer.json'), 'utf8'));
  expect(saved.lossScale).toMatchObject({ scale: 2 ** 16, row: 10, skipped: 0 });
  await ends(`--resume ${parts} --steps 16`);
  expect(weights(parts).equals(weights(whole))).toBe(true);
  const told = (dir: string) =>
    metrics(dir)
      .filter(isStep)
      .map(({ step, loss, gradNorm, lossScale, skippedSteps }) => ({
        step,
        loss,
        gradNorm,
        lossScale,
        skippedSteps,
      }));
  expect(told(parts)).toEqual(told(whole));
  expect(told(whole).at(-1)).toMatchObject({ step: 16, lossScale: 2 ** 16, skippedSteps: 0 });
});
