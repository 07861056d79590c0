// The modes that no other file here trains, as a user has them: trained, killed and gone on with, and evaluated; and
// a number of samples that is the same for every mode.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FORMS } from '../../src/data/curriculum.ts';
import { formatSamples } from '../../src/data/sample.ts';
import { generatedSource } from '../../src/data/source.ts';
import { metrics, results, run, scratch, succeed, TINY, timeless, until, weights } from './child.ts';

const folder = scratch();
const data = join(folder, 'test.json');
const source = generatedSource('pointer', { nodes: 4, hops: [2, 2], maxEdges: null }, 0, 'test');
const samples = Array.from({ length: 6 }, (_, i) => source.at(i)); // TINY's --eval-samples
writeFileSync(data, formatSamples(samples));

const MODES = ['no-thought', 'pause', 'no-curriculum', 'icot'] as const;

/** First step of each stage. */
const STAGED = [0, 8, 12];

describe.concurrent.each(MODES)('%s', mode => {
  const whole = join(folder, mode);
  const flags = [...TINY.split(' '), '--mode', mode];
  const staged = FORMS[mode].written.startsWith('fewer');
  const silent = FORMS[mode].instead !== 'nothing';

  test('trains, is killed and goes on to the same bits, and evaluates', async () => {
    await succeed('train.ts', [...flags, '--out', whole]);
    const [arm] = results(whole).arms;
    const last = staged ? STAGED.length - 1 : 0;
    expect(arm).toMatchObject({ mode, steps: 16, samples: 128, stage: last, lastStage: last });
    expect(typeof arm!.exactMatchNoLatents).toBe(silent ? 'number' : 'object');
    // ### and at most four tokens more than the answer and the end; two latents or pauses before them.
    if (silent) expect(arm!.tokensPerSample).toBeGreaterThan(2);
    const begins = metrics(whole).filter(({ kind }) => kind === 'stage');
    expect(begins.map(({ step }) => step)).toEqual(staged ? STAGED : [0]);

    const out = join(folder, `${mode}-killed`);
    const { signal } = await run('train.ts', [...flags, '--out', out], async child => {
      const log = join(out, 'metrics.jsonl');
      const reached = `{"kind":"step","arm":"${mode}","step":9,`;
      await until(() => existsSync(log) && readFileSync(log, 'utf8').includes(reached), child);
      child.kill('SIGKILL');
    });
    expect(signal).toBe('SIGKILL');
    expect(await succeed('train.ts', ['--resume', out])).toContain(`${out}: going on with ${mode} at step`);
    expect(weights(out).equals(weights(whole))).toBe(true);
    const lasting = (dir: string) => timeless(dir).map(result => ({ ...(result as object), peakBytes: 0 }));
    expect(lasting(out)).toEqual(lasting(whole));

    const model = join(whole, 'final');
    const { exactMatch, exactMatchNoLatents, tokensPerSample } = arm!;
    const evaluated = await succeed('tools/evaluate.ts', ['--model', model, '--data', data, '--json']);
    expect(JSON.parse(evaluated)).toMatchObject({ mode, exactMatch, exactMatchNoLatents, tokensPerSample });
  });
});

describe.concurrent('--samples', () => {
  const quick = TINY.replace('--stage-steps 8,4,4', '--stage-steps auto --stage-max-steps 2').split(' ');
  const stages = (dir: string): number[] =>
    metrics(dir)
      .filter(({ kind }) => kind === 'stage')
      .map(({ step }) => step);

  test('lets the last stage last until then, whatever ends the others', async () => {
    const [short, long] = [join(folder, 'short'), join(folder, 'long')];
    await succeed('train.ts', [...quick, '--out', short]);
    await succeed('train.ts', [...quick, '--out', long, '--samples', '100']);
    expect(results(short).arms[0]).toMatchObject({ steps: 6, stage: 2 });
    expect(results(long).arms[0]).toMatchObject({ steps: 13, samples: 104, stage: 2, lastStage: 2 });
    for (const dir of [short, long]) expect(stages(dir)).toEqual([0, 2, 4]);
  });

  test('holds for lists and for --compare too, and a run may go on to more', async () => {
    const [twice, once] = [join(folder, 'samples-twice'), join(folder, 'samples-once')];
    await succeed('train.ts', [...TINY.split(' '), '--out', twice, '--samples', '144']);
    await succeed('train.ts', ['--resume', twice, '--samples', '160']);
    await succeed('train.ts', [...TINY.split(' '), '--out', once, '--samples', '160', '--compare']);
    expect(results(once).arms.map(arm => [arm.mode, arm.samples])).toEqual([
      ['coconut', 160],
      ['cot', 160],
      ['no-cot', 160],
    ]);
    expect(stages(once).slice(0, 3)).toEqual(STAGED);
    expect(weights(twice).equals(weights(once))).toBe(true);
  });

  test('ends an arm that has not come to its last stage, and the results say so', async () => {
    const out = join(folder, 'few');
    await succeed('train.ts', [...TINY.split(' '), '--out', out, '--samples', '80']);
    expect(results(out).arms[0]).toMatchObject({ steps: 10, samples: 80, stage: 1, lastStage: 2 });
  });
});
