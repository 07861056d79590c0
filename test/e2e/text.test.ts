// A language model of a text, as a user has it: trained, killed and gone on with to the same bits, measured, asked; then
// the start of a model that reasons, which GSM8k's form teaches first to write its steps and then to think them, judged
// by the numbers that it answers.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/model/config.ts';
import { readModel } from '../../src/model/folder.ts';
import { nodeFiles } from '../../src/platform/files.ts';
import type { TextResult } from '../../src/train/results.ts';
import { book } from '../data/gpt2.ts';
import { isStep, metrics, run, scratch, succeed, until, weights } from './child.ts';

const folder = scratch();
const data = join(folder, 'book.txt');
writeFileSync(data, book().slice(0, 4000));
const whole = join(folder, 'whole');
const TEXT =
  '--preset smoke --mode lm --layers 1 --width 32 --positions 48 --row-tokens 16 --batch 8 --warmup 4 --steps 14 ' +
  '--stage-check-every 6 --valid-samples 6 --eval-samples 6 --report-samples 2 --log-every 1 --checkpoint-every 4';
const flags = [...TEXT.split(' '), '--data', data];

beforeAll(async () => {
  await succeed('train.ts', [...flags, '--out', whole]);
});

const resultOf = (dir: string): TextResult =>
  JSON.parse(readFileSync(join(dir, 'results.json'), 'utf8')).arms[0];
const told = (dir: string): unknown[] =>
  metrics(dir).map(record => ({ ...record, seconds: 0, ...(isStep(record) && NOT_TOLD) }));
const NOT_TOLD = { tokensPerSecond: 0, ceilingShare: 0, liveBytes: 0, peakBytes: 0 };

describe.concurrent('--mode lm', () => {
  test('says loss, perplexity and bits a byte of what it did not learn', async () => {
    const { loss, perplexity, bitsPerByte, evalTokens, samples } = resultOf(whole);
    expect(samples).toBe(112);
    // Six rows, the last as short as what the text leaves.
    expect(evalTokens).toBeGreaterThan(5 * 15);
    expect(evalTokens).toBeLessThanOrEqual(6 * 15);
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    expect(bitsPerByte).toBeCloseTo(loss / Math.LN2, 2); // Its tokens are bytes.
    const validated = metrics(whole).filter(({ kind }) => kind === 'held-out');
    expect(validated.map(({ step }) => step)).toEqual([6, 12]);
    const config = JSON.parse(readFileSync(join(whole, 'final', 'config.json'), 'utf8'));
    expect(config).toMatchObject({ vocab_size: 244, n_positions: 48, reasoning: { mode: 'lm' } });
    expect(config.latent_token_id).toBe(undefined);
    expect(readFileSync(join(whole, 'report.html'), 'utf8')).toContain('bits a byte');
  });

  test('goes on after a kill to the same bits', async () => {
    const out = join(folder, 'killed');
    const { signal } = await run('train.ts', [...flags, '--out', out], async child => {
      const log = join(out, 'metrics.jsonl');
      await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('"step":10,'), child);
      child.kill('SIGKILL');
    });
    expect(signal).toBe('SIGKILL');
    await succeed('train.ts', ['--resume', out]);
    expect(weights(out).equals(weights(whole))).toBe(true);
    expect(told(out)).toEqual(told(whole));
    const { loss, bitsPerByte } = resultOf(whole);
    expect(resultOf(out)).toMatchObject({ loss, bitsPerByte });
  });

  test('its model is asked for more text, and measured on one', async () => {
    const model = ['--model', join(whole, 'final')];
    const text = await succeed('tools/generate.ts', [...model, '--prompt', 'Call me', '--max-tokens', '9']);
    expect(text.trimEnd().length).toBeLessThanOrEqual(9);
    const measured = ['--data', data, '--row-tokens', '16', '--limit', '4', '--json'];
    const said = JSON.parse(await succeed('tools/evaluate.ts', [...model, ...measured]));
    expect(said).toMatchObject({ mode: 'lm', rows: 4, tokens: 60 });
    expect(said.perplexity).toBeCloseTo(Math.exp(said.loss), 6);
    expect(said.loss).toBeLessThan(Math.log(244));
  });

  test('refuses what makes no sense of a text in one line, and writes nothing', async () => {
    const short = join(folder, 'short.txt');
    writeFileSync(short, 'Call me Ishmael.');
    const out = join(folder, 'refused');
    const binary = join(folder, 'binary.txt');
    writeFileSync(binary, Uint8Array.of(0xff, 0xfe, 0x80));
    const samples = join(folder, 'samples.json');
    writeFileSync(samples, '[{"question":"a","steps":[],"answer":"b"}]');
    const asked = ['--model', join(whole, 'final'), '--data', samples];
    const cases: [string, string[], RegExp][] = [
      ['train.ts', [...flags, '--compare'], /--compare contradicts --mode lm/],
      ['train.ts', [...TEXT.split(' '), '--data', short], /short\.txt: 16 tokens make 1 rows of 16, too few/],
      ['train.ts', [...TEXT.split(' '), '--data', binary], /binary\.txt/],
      ['train.ts', [...flags, '--row-tokens', '49'], /--row-tokens 49: the model has only 48 positions/],
      ['train.ts', [...flags, '--tokenizer', folder], /tokenizer\.json: no such file/],
      ['tools/evaluate.ts', [...asked, '--inspect'], /--inspect: a model of texts \(lm\)/],
      ['tools/evaluate.ts', ['--model', join(whole, 'final'), '--task', 'pointer'], /give --data FILE/],
    ];
    for (const [script, words, fault] of cases) {
      const own = script === 'train.ts' ? ['--out', out] : [];
      const { status, stderr } = await run(script, [...words, ...own]);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^error: [^\n]*\n$/);
      expect(stderr).toMatch(fault);
    }
    expect(existsSync(out)).toBe(false);
  });
});

test('then steps, then thoughts, judged by the number after the last #', async () => {
  const configOf = (dir: string) =>
    parseConfig(readFileSync(join(dir, 'final', 'config.json'), 'utf8'), 'config.json');
  const samples = join(folder, 'gsm.txt');
  // The two words of a question decide: few samples are learnt by heart in seconds.
  const lines = ['a||<<1*9=9>> #### 1,009', 'b||<<2*9=18>> #### 18', 'c||<<3+4=7>> #### -7'];
  writeFileSync(samples, Array.from({ length: 12 }, (_, i) => lines[i % 3]).join('\n'));
  const shared = `--preset smoke --score number --batch 12 --lr 0.01 --warmup 5 --max-latent-stage 1 --valid-samples 2 --eval-samples 2 --stage-check-every 100 --checkpoint-every 500`;
  const train = (mode: string, init: string, stages: string) =>
    succeed('train.ts', [
      ...shared.split(' '),
      ...['--mode', mode, '--init', init, '--data', samples, '--stage-steps', stages],
      ...['--out', join(folder, mode)],
    ]);
  await train('cot', join(whole, 'final'), '90');
  const cot = join(folder, 'cot');
  expect(configOf(cot)).toMatchObject({ vocabSize: 248, startLatentId: 244, reasoning: { mode: 'cot' } });
  await train('coconut', join(cot, 'final'), '60,60');
  const coconut = join(folder, 'coconut');
  // The markers that writing steps left behind began as copies of what << is made of.
  const rowsOf = async (dir: string, ids: readonly number[]) => {
    const wte = (await readModel(nodeFiles, dir)).weights.get('transformer.wte.weight')!;
    return ids.map(id => [...wte.subarray(32 * id, 32 * (id + 1))]);
  };
  const [left] = await rowsOf(join(cot, 'final'), [244]);
  const [start, end, less] = await rowsOf(join(coconut, 'checkpoints', '0'), [244, 245, '<'.charCodeAt(0)]);
  expect(start).toEqual(less);
  expect(end).toEqual(less);
  expect(left).not.toEqual(less);

  // The same numbers written otherwise: right as numbers, and not as texts.
  const other = join(folder, 'gsm-other.txt');
  writeFileSync(other, 'a||<<1*9=9>> #### 1009\nb||<<2*9=18>> #### 18.0\nc||<<3+4=7>> #### -7.00\n');
  const evaluate = async (dir: string, file: string, score: string): Promise<number> => {
    const asked = ['--model', join(dir, 'final'), '--data', file, '--score', score, '--json'];
    return JSON.parse(await succeed('tools/evaluate.ts', asked)).exactMatch;
  };
  for (const dir of [cot, coconut]) expect(await evaluate(dir, other, 'number'), dir).toBe(1);
  expect(await evaluate(coconut, other, 'text')).toBe(0);
  writeFileSync(other, 'a||<<1*9=9>> #### 1010\nb||<<2*9=18>> #### 18\nc||<<3+4=7>> #### 7\n');
  expect(await evaluate(coconut, other, 'number')).toBeCloseTo(1 / 3, 6);
});
