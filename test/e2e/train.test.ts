// Training from the command line to the last file: what a run prints and writes, and what its flags do.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { PRESETS } from '../../src/train/presets.ts';
import { isStep, metrics, results, run, scratch, succeed, TINY, timeless, weights } from './child.ts';

const folder = scratch();
/** Of the smoke preset: steps of each stage, of all, and between checkpoints. */
const LENGTHS = PRESETS.smoke.stageSteps as readonly number[];
const STEPS = LENGTHS.reduce((a, b) => a + b);
const EVERY = PRESETS.smoke.checkpointEvery;

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
/** Steps of metrics.jsonl as they follow, without what the clock decides. */
const losses = (dir: string) =>
  metrics(dir)
    .filter(isStep)
    .map(({ arm, stage, step, loss }) => ({ arm, stage, step, loss }));

describe('the smoke preset', () => {
  const out = join(folder, 'smoke');
  const again = join(folder, 'again');
  let printed = '';
  beforeAll(async () => {
    const both = [out, again].map(dir => succeed('train.ts', ['--preset', 'smoke', '--out', dir]));
    printed = (await Promise.all(both))[0]!;
  });

  test('says where it runs, how far it is and what came of it', () => {
    const lines = printed.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^adapter: \S.*, binding ≤ \d+ MiB, buffer ≤ \d+ MiB, \S/);
    expect(printed).toMatch(/^coconut stage 0\/2 · step 10 · loss [\d.]+ · valid .* tok\/s .*of ceiling/m);
    expect(lines.find(line => line.startsWith('| mode'))).toMatch(/exact match \| latents removed \|/);
    expect(lines.filter(line => /^\| coconut +\|/.test(line))).toHaveLength(1);
    expect(lines.at(-1)).toBe(`${out}/report.html shows the curves and the thoughts`);
  });

  test('keeps metrics of all stages, and the loss falls', () => {
    const records = metrics(out);
    const stages = records.filter(record => record.kind === 'stage');
    expect(stages.map(({ stage, step }) => [stage, step])).toEqual([
      [0, 0],
      [1, LENGTHS[0]],
      [2, LENGTHS[0]! + LENGTHS[1]!],
    ]);
    expect(records.filter(record => record.kind === 'validation').length).toBeGreaterThanOrEqual(3);
    const steps = records.filter(isStep);
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: STEPS / 10 }, (_, i) => 10 * (i + 1)));
    const first = steps.filter(({ stage }) => stage === 0);
    expect(mean(first.slice(-3).map(({ loss }) => loss))).toBeLessThan(0.6 * first[0]!.loss);
    for (const record of steps) {
      expect(record.gradNorm).toBeGreaterThan(0);
      expect(record.tokensPerSecond).toBeGreaterThan(0);
      expect(record.ceilingShare).toBeGreaterThan(0);
      expect(record.peakBytes).toBeGreaterThanOrEqual(record.liveBytes);
    }
  });

  test('writes checkpoints, the model and the results', () => {
    const checkpoints = readdirSync(join(out, 'checkpoints'));
    expect(checkpoints.map(Number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: STEPS / EVERY + 1 }, (_, i) => i * EVERY),
    );
    expect(checkpoints.length).toBeGreaterThan(3);
    const model = ['config.json', 'model.safetensors', 'tokenizer.json'];
    expect(readdirSync(join(out, 'final'))).toEqual(model);
    for (const step of checkpoints)
      expect(readdirSync(join(out, 'checkpoints', step))).toEqual(
        [...model, 'optimizer.safetensors', 'trainer.json'].sort(),
      );
    expect(readFileSync(join(out, 'checkpoints', String(STEPS), 'model.safetensors'))).toEqual(weights(out));

    const { adapter, seconds, arms } = results(out);
    expect(adapter).toMatch(/\S/);
    expect(seconds).toBeGreaterThan(0);
    expect(arms).toHaveLength(1);
    const [arm] = arms;
    expect(arm).toMatchObject({
      mode: 'coconut',
      bptt: PRESETS.smoke.bptt,
      seed: 0,
      samples: STEPS * PRESETS.smoke.batch,
    });
    for (const share of [arm!.exactMatch, arm!.exactMatchNoLatents!]) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }
    expect(arm!.tokensPerSample).toBeGreaterThan(2); // The two latents alone are as many.
    expect(arm!.secondsPerSample).toBeGreaterThan(0);
    expect(seconds).toBeGreaterThan(arm!.trainSeconds);
  });

  test('writes a report that needs nothing beside it', () => {
    const html = readFileSync(join(out, 'report.html'), 'utf8');
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/<(script|img|link|iframe)[^>]+(src|href)="(?!data:)/i);
    expect(html).not.toMatch(/@import|url\((?!["']?data:)/i);
    expect(html).toContain('uPlot');
    expect(html).toContain('thought 2');
    expect(html).toContain('<table>');
  });

  test('run again, has the same bits and results', () => {
    expect(weights(again).equals(weights(out))).toBe(true);
    expect(losses(again)).toEqual(losses(out));
    expect(timeless(again)).toEqual(timeless(out));
  });
});

describe.concurrent('flags', () => {
  const first = join(folder, 'tiny');
  const tiny = (dir: string, ...flags: string[]) =>
    succeed('train.ts', [...TINY.split(' '), '--out', dir, ...flags]);
  beforeAll(async () => {
    await tiny(first);
  });

  test('a run in the folder of an earlier one moves its files aside, whole', async () => {
    const out = join(folder, 'twice');
    await tiny(out, '--compare', '--steps', '2');
    writeFileSync(join(out, 'notes.txt'), 'not of the run');
    const before = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter(
      name => name !== 'notes.txt',
    );
    const text = readFileSync(join(out, 'metrics.jsonl'), 'utf8');
    const model = weights(join(out, 'cot'));
    expect(await tiny(out, '--seed', '1')).toContain(`an earlier run's files are now in ${out}/earlier-1`);
    const aside = join(out, 'earlier-1');
    expect(readdirSync(aside, { recursive: true, encoding: 'utf8' }).sort()).toEqual(before.sort());
    expect(readFileSync(join(aside, 'metrics.jsonl'), 'utf8')).toBe(text);
    expect(weights(join(aside, 'cot')).equals(model)).toBe(true);
    expect(existsSync(join(out, 'cot'))).toBe(false);
    expect(readFileSync(join(out, 'notes.txt'), 'utf8')).toBe('not of the run');
    expect(weights(out).equals(weights(first))).toBe(false); // Another seed.
  });

  test('--compare trains three models on the same number of samples', async () => {
    const out = join(folder, 'compare');
    const printed = await tiny(out, '--compare');
    const { arms } = results(out);
    expect(arms.map(({ mode, samples }) => [mode, samples])).toEqual([
      ['coconut', 128],
      ['cot', 128],
      ['no-cot', 128],
    ]);
    expect(arms.map(arm => arm.exactMatchNoLatents === null)).toEqual([false, true, true]);
    for (const dir of [out, join(out, 'cot'), join(out, 'no-cot')])
      expect(readdirSync(join(dir, 'final'))).toHaveLength(3);
    expect(printed).toMatch(/^\| no-cot +\| +– \|/m);
    const steps = losses(out).filter(({ step }) => step === 16);
    expect(steps.map(({ arm }) => arm)).toEqual(['coconut', 'cot', 'no-cot']);
    // The other arms change nothing of the first.
    expect(weights(out).equals(weights(first))).toBe(true);
  });

  test('--data and --valid train on files in the published form', async () => {
    const [data, valid] = ['train.json', 'valid.json'].map(name => join(folder, name)) as [string, string];
    const generate = (file: string, seed: string) =>
      succeed('tools/prosqa.ts', [
        '--count',
        '12',
        '--seed',
        seed,
        '--out',
        file,
        '--nodes',
        '14',
        '--hops',
        '3',
      ]);
    await Promise.all([generate(data, '1'), generate(valid, '2')]);
    const out = join(folder, 'data');
    const flags = TINY.replace('--nodes 4 --hops 2 ', '').split(' ');
    await succeed('train.ts', [
      ...flags,
      '--stage-steps',
      '3,2,2,2',
      '--data',
      data,
      '--valid',
      valid,
      '--out',
      out,
    ]);
    expect(results(out).arms[0]).toMatchObject({ samples: 72, evalSamples: 6 });
    const { model } = JSON.parse(readFileSync(join(out, 'final', 'tokenizer.json'), 'utf8'));
    expect(Object.keys(model.vocab)).toEqual(expect.arrayContaining(['Every', 'is', '?']));
    expect(losses(out).at(-1)!.loss).toBeLessThan(losses(out)[0]!.loss);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('is a');
  });

  test('--init goes on from a model folder', async () => {
    const out = join(folder, 'init');
    const own = TINY.replace('--layers 1 --width 16 ', '').split(' ');
    await succeed('train.ts', [...own, '--init', join(first, 'final'), '--steps', '1', '--out', out]);
    expect(readFileSync(join(out, 'checkpoints', '0', 'model.safetensors')).equals(weights(first))).toBe(
      true,
    );
    expect(weights(out).equals(weights(first))).toBe(false);
    expect(losses(out)[0]!.loss).toBeLessThan(losses(first)[0]!.loss);
  });

  test('a --config file does the same as flags, and flags win over it', async () => {
    const words = TINY.split(' ');
    const json = Object.fromEntries(
      words.flatMap((word, i) => {
        if (!word.startsWith('--')) return [];
        const value = words[i + 1]!;
        const parsed = value.includes(',') ? value.split(',').map(Number) : Number(value);
        return [[word.slice(2), Number.isNaN(parsed) ? value : parsed]];
      }),
    );
    const config = join(folder, 'options.json');
    const out = join(folder, 'config');
    writeFileSync(config, JSON.stringify({ ...json, seed: 5, out: join(folder, 'elsewhere') }));
    await succeed('train.ts', ['--config', config, '--seed', '0', '--out', out]);
    expect(weights(out).equals(weights(first))).toBe(true);
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
  });

  test('--micro-batch computes the same but for rounding', async () => {
    const out = join(folder, 'micro');
    await tiny(out, '--micro-batch', '3');
    const [whole, parts] = [losses(first), losses(out)];
    expect(parts).toHaveLength(whole.length);
    for (const [i, { loss }] of parts.entries())
      expect(Math.abs(loss / whole[i]!.loss - 1), `step ${i + 1}`).toBeLessThan(1e-4);
  });

  test('a loss that is no number ends the run in one line', async () => {
    const out = join(folder, 'diverged');
    const { status, stderr } = await run('train.ts', [...TINY.split(' '), '--lr', '1e30', '--out', out]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^error: the loss is \S+ at step \d+, training has diverged: begin again with a lower --lr, from nothing or with --init \S+checkpoints\/\d+\n$/,
    );
  });

  test('nor is it saved, whatever the log has seen', async () => {
    const out = join(folder, 'spoilt');
    const flags = TINY.replace('--log-every 1', '--log-every 100').split(' ');
    const { status, stderr } = await run('train.ts', [...flags, '--lr', '1e30', '--out', out]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: the loss is \S+ at step 4, training has diverged:/);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['0']);
  });
});
