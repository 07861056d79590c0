// What a run on a text learns and what it is measured on, from files in memory; and tokenizers of new models.
import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/data/batch.ts';
import { byteLevelJson } from '../../src/data/bpe-files.ts';
import type { Files } from '../../src/files.ts';
import { resolveOptions } from '../../src/train/options.ts';
import { prepare } from '../../src/train/prepare.ts';
import type { TextSetup } from '../../src/train/text-setup.ts';
import { gpt2Merges, gpt2Vocab } from '../data/gpt2.ts';
import { userError } from '../formats/expect-error.ts';
import { memoryFiles } from '../formats/memory-files.ts';

/** 1,001 bytes: 100 windows of 11 tokens. Each line differs, so windows can be told apart. */
const TEXT = Array.from({ length: 200 }, (_, i) => String(i).padStart(4, '0'))
  .join(' ')
  .padEnd(1001, '!');
const SHAPE = '--mode lm --data a.txt --steps 5 --width 8 --heads 1 --layers 1 --row-tokens 11';

async function filesWith(texts: Readonly<Record<string, string>>): Promise<Files> {
  const files = memoryFiles();
  for (const [path, text] of Object.entries(texts)) await files.writeAtomic(path, text);
  return files;
}

async function setup(line: string, texts: Readonly<Record<string, string>> = { 'a.txt': TEXT }) {
  const resolved = await resolveOptions(line.split(' '), async () => '');
  if ('help' in resolved) throw new Error('help');
  return prepare(resolved.options, await filesWith(texts));
}

const text = (line: string, texts?: Readonly<Record<string, string>>): Promise<TextSetup> =>
  setup(line, texts) as Promise<TextSetup>;
const said = ({ tokenizer }: TextSetup, rows: readonly Row[]): string[] =>
  rows.map(({ tokens }) => tokenizer.decode(tokens.slice(1)));

describe('a text', () => {
  it('is learnt but for its end, which is measured on', async () => {
    const made = await text(`${SHAPE} --valid-samples 6 --eval-samples 4`);
    const { train, valid, test } = made.text;
    expect([made.config.positions, made.config.vocabSize]).toEqual([11, 244]);
    const epoch = (e: number) =>
      said(
        made,
        Array.from({ length: 90 }, (_, i) => train(90 * e + i)),
      );
    const held = [...said(made, valid.rows), ...said(made, test.rows)];
    expect([valid.rows.length, test.rows.length]).toEqual([6, 4]);
    expect(TEXT.endsWith(held.join(''))).toBe(true);
    for (const e of [0, 1]) {
      const windows = new Set([...epoch(e), ...held]);
      expect(windows.size).toBe(100);
      const whole = [...windows].sort((a, b) => TEXT.indexOf(a) - TEXT.indexOf(b));
      expect(TEXT[0] + whole.join('')).toBe(TEXT);
    }
    expect(epoch(1)).not.toEqual(epoch(0));
    expect(valid.bytesPerToken).toBe(1);
    const again = await text(`${SHAPE} --valid-samples 6 --eval-samples 4`);
    expect(again.text.train(95)).toEqual(train(95));
  });

  it('keeps four fifths to learn from at least, and is learnt whole where another is measured on', async () => {
    const few = await text(SHAPE); // The preset asks for 300 and 500 rows.
    expect(few.text.valid.rows.length + few.text.test.rows.length).toBe(20);
    const other = 'é'.repeat(40);
    const both = { 'a.txt': TEXT, 'b.txt': other };
    const made = await text(`${SHAPE} --valid b.txt --valid-samples 3`, both);
    const rows = Array.from({ length: 100 }, (_, i) => made.text.train(i));
    expect(new Set(said(made, rows)).size).toBe(100);
    // 80 bytes are windows of ten predictions, eight of them; the first three are for validation.
    expect([made.text.valid.rows.length, made.text.test.rows.length]).toEqual([3, 5]);
    expect(made.notes).toEqual([]);
    const same = await text(`${SHAPE} --valid b.txt --valid-samples 8`, both);
    expect(same.notes).toEqual([
      expect.stringMatching(/^b\.txt: validation while training takes all 8 rows,/),
    ]);
  });

  it.each([
    [SHAPE, { 'a.txt': 'abc' }, /^a\.txt: 3 tokens make 1 rows of 11, too few/],
    [SHAPE, { 'a.txt': '' }, /^a\.txt: 0 tokens make 0 rows of 11, too few/],
    [`${SHAPE} --positions 10`, { 'a.txt': TEXT }, /^--row-tokens 11: the model has only 10 positions$/],
    [`${SHAPE} --valid b.txt`, { 'a.txt': TEXT, 'b.txt': 'x' }, /^b\.txt: has no two tokens/],
    [`${SHAPE} --tokenizer t.json`, { 'a.txt': TEXT, 't.json': '{}' }, /^t\.json: "model" is missing/],
  ])('%s of %j is refused', async (line, texts, fault) => {
    expect(await userError(() => setup(line, texts))).toMatch(fault);
  });
});

describe('--tokenizer', () => {
  it('takes GPT-2’s two files by either pair of names, without markers for a text', async () => {
    for (const [vocab, merges] of [
      ['vocab.json', 'merges.txt'],
      ['encoder.json', 'vocab.bpe'],
    ] as const) {
      const files = { 'a.txt': TEXT.repeat(3), [`t/${vocab}`]: gpt2Vocab(), [`t/${merges}`]: gpt2Merges() };
      const { tokenizer, config } = await text(`${SHAPE} --tokenizer t`, files);
      expect([tokenizer.size, config.vocabSize, config.startLatentId]).toEqual([50257, 50257, undefined]);
    }
  });

  it('is for models that reason too, with markers', async () => {
    const samples = '[{"question":"What is 1 plus 1?","steps":["1+1=2"],"answer":"2"}]';
    const held = JSON.stringify(Array(3).fill(JSON.parse(samples)[0]));
    const files = { 'a.json': held, 'b.json': held, 't/tokenizer.json': byteLevelJson() };
    const { tokenizer, config } = await setup('--data a.json --valid b.json --tokenizer t', files);
    expect([tokenizer.size, config.vocabSize, config.startLatentId]).toEqual([248, 248, 244]);
    expect(config.positions).toBeGreaterThanOrEqual(32);
  });
});
