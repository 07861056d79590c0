// Other recurrences from the command line to the final folder, each as the folder says when the model is asked again;
// and what a step head leaves behind.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatSamples } from '../../src/data/sample.ts';
import { generatedSource } from '../../src/data/source.ts';
import { parameterShapes, parseConfig } from '../../src/model/config.ts';
import { PUBLISHED } from '../../src/model/recurrence.ts';
import { STEP_HEAD } from '../../src/model/step-head.ts';
import { readSafetensors } from '../reference/safetensors.ts';
import { isStep, metrics, results, run, scratch, succeed, TINY, weights } from './child.ts';

const folder = scratch();

function configOf(dir: string) {
  const path = join(dir, 'config.json');
  return parseConfig(readFileSync(path, 'utf8'), path);
}
const namesIn = (path: string) => [...readSafetensors(path).keys()];
const losses = (dir: string) =>
  metrics(dir)
    .filter(isStep)
    .map(({ step, loss }) => [step, loss]);

describe.concurrent('a run', () => {
  test.each([
    ['linear', 'jacobi:2', '0'],
    ['mlp', 'sequential', '0.5'],
    ['soft', 'sequential', '0'],
    ['token', 'jacobi:1', '0.5'],
    ['hidden', 'jacobi:2', '0.5'],
  ] as const)('--feedback %s --latents %s --step-supervision %s', async (feedback, schedule, supervision) => {
    const out = join(folder, feedback);
    const flags = ['--feedback', feedback, '--latents', schedule, '--step-supervision', supervision];
    await succeed('train.ts', [...TINY.split(' '), '--max-latent-stage', '2', ...flags, '--out', out]);
    const config = configOf(join(out, 'final'));
    expect(config.recurrence ?? PUBLISHED).toEqual({ feedback, schedule });
    expect(namesIn(join(out, 'final', 'model.safetensors'))).toEqual(
      parameterShapes(config).map(([name]) => name),
    );
    // The tools think as the folder says: what the run came to comes out again.
    const data = join(folder, `${feedback}.json`);
    const source = generatedSource('pointer', { nodes: 4, hops: [2, 2], maxEdges: null }, 0, 'test');
    writeFileSync(data, formatSamples(Array.from({ length: 6 }, (_, i) => source.at(i))));
    const asked = ['--model', join(out, 'final'), '--data', data, '--json'];
    const { exactMatch, tokensPerSample } = JSON.parse(await succeed('tools/evaluate.ts', asked));
    expect({ exactMatch, tokensPerSample }).toEqual({
      exactMatch: results(out).arms[0]!.exactMatch,
      tokensPerSample: results(out).arms[0]!.tokensPerSample,
    });
  });
});

test.concurrent('a step head is in the checkpoints, not in the model, and a resumed run ends in the same bits', async () => {
  const flags = [...TINY.split(' '), '--feedback', 'mlp', '--step-supervision', '0.5'];
  const [whole, short] = [join(folder, 'whole'), join(folder, 'short')];
  await Promise.all([
    succeed('train.ts', [...flags, '--out', whole]),
    succeed('train.ts', [...flags, '--steps', '10', '--out', short]),
  ]);
  const heads = (dir: string, file: string) =>
    namesIn(join(dir, file)).filter(name => name.includes(STEP_HEAD));
  const checkpoint = join(short, 'checkpoints', '10');
  expect(heads(checkpoint, 'optimizer.safetensors').sort()).toEqual(
    ['extra', 'm.extra', 'v.extra'].flatMap(prefix => [
      `${prefix}.${STEP_HEAD}0.bias`,
      `${prefix}.${STEP_HEAD}0.weight`,
    ]),
  );
  expect(heads(checkpoint, 'model.safetensors')).toEqual([]);
  await succeed('train.ts', ['--resume', short, '--steps', '16']);
  expect(weights(short).equals(weights(whole))).toBe(true);
  expect(losses(short)).toEqual(losses(whole));
  const contradiction = await run('train.ts', ['--resume', short, '--step-supervision', '0']);
  expect(contradiction.stderr).toMatch(/^error: --step-supervision 0 contradicts --resume: /);
});

test.concurrent('a bridge belongs to models that feed something back, and stays with them', async () => {
  const out = join(folder, 'compared');
  const flags = [...TINY.split(' '), '--compare', '--feedback', 'mlp', '--step-supervision', '0.5'];
  await succeed('train.ts', [...flags, '--out', out]);
  for (const arm of ['cot', 'no-cot']) {
    expect(configOf(join(out, arm, 'final')).recurrence).toBe(undefined);
    expect(weights(join(out, arm)).includes('bridge')).toBe(false);
  }
  const own = TINY.replace('--layers 1 --width 16 ', '').split(' ');
  const refused = await run('train.ts', [
    ...own,
    '--init',
    join(out, 'final'),
    '--out',
    join(folder, 'refused'),
  ]);
  expect(refused.stderr).toMatch(
    /^error: --feedback hidden: the model in \S+ has a bridge that was trained with --feedback mlp; give that\n$/,
  );
  // A model that has none gets one.
  const bridged = join(folder, 'bridged');
  const cot = ['--init', join(out, 'cot', 'final'), '--feedback', 'linear', '--out', bridged];
  await succeed('train.ts', [...own, ...cot]);
  expect(configOf(join(bridged, 'final')).recurrence?.feedback).toBe('linear');
});

test.concurrent('--feedback-scale auto is measured once, and then a number of the model', async () => {
  const out = join(folder, 'scaled');
  const flags = [...TINY.split(' '), '--init-scale', 'gpt2', '--feedback-scale', 'auto'];
  const said = await succeed('train.ts', [...flags, '--out', out]);
  const scale = Number(/^feedback scale (\S+): /m.exec(said)?.[1]);
  // Embeddings of 0.02 a number, hidden states of 1.
  expect(scale).toBeGreaterThan(0.01);
  expect(scale).toBeLessThan(0.05);
  const recurrence = { feedback: 'hidden', schedule: 'sequential', scale };
  for (const dir of ['checkpoints/0', 'final'])
    expect(configOf(join(out, dir)).recurrence).toEqual(recurrence);

  const short = join(folder, 'scaled-short');
  await succeed('train.ts', [...flags, '--steps', '10', '--out', short]);
  expect(await succeed('train.ts', ['--resume', short, '--steps', '16'])).not.toContain('feedback scale');
  expect(weights(short).equals(weights(out))).toBe(true);
  expect(configOf(join(short, 'final')).recurrence).toEqual(recurrence);

  const own = TINY.replace('--layers 1 --width 16 ', '').split(' ');
  const again = [...own, '--init', join(out, 'final'), '--out', join(folder, 'scaled-again')];
  const refused = await run('train.ts', again);
  expect(refused.stderr).toMatch(
    /^error: --feedback-scale 1: the model in \S+ was trained with --feedback-scale \S+; give that, or auto\n$/,
  );
  expect(await succeed('train.ts', [...again, '--feedback-scale', 'auto'])).not.toContain('feedback scale');
  expect(configOf(join(folder, 'scaled-again', 'final')).recurrence).toEqual(recurrence);
});
