// What a run on samples starts from, from files in memory: words that a vocabulary lacks, what is told of the data, rows
// that a model has no room for.
import { describe, expect, it } from 'vitest';
import { longestRow } from '../../src/data/curriculum.ts';
import { RESERVED, WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { resolveOptions } from '../../src/train/options.ts';
import { prepareSamples, type SampleSetup, type Start } from '../../src/train/setup.ts';
import { userError } from '../formats/expect-error.ts';
import { memoryFiles } from '../formats/memory-files.ts';

const MODEL = '--layers 1 --heads 1 --width 8';
const sample = (question: string, answer = 'yes') => ({ question, steps: ['so'], answer });
const known = Array.from({ length: 40 }, (_, i) => sample(`is ${'very '.repeat(i % 3)}it`));

type Files = Readonly<Record<string, unknown>>;

async function start(line: string, contents: Files, from?: Start): Promise<SampleSetup> {
  const resolved = await resolveOptions([...MODEL.split(' '), ...line.split(' ')], async () => '');
  if ('help' in resolved) throw new Error('unexpected help');
  const files = memoryFiles();
  for (const [path, content] of Object.entries(contents))
    await files.writeAtomic(path, typeof content === 'string' ? content : JSON.stringify(content));
  return prepareSamples(resolved.options, files, from);
}

/** The run of `setup`, stopped at its first checkpoint. */
function stopped({ config, weights, tokenizer }: SampleSetup): Start {
  const trainer = { arm: 'coconut', step: 0 } as Start['trainer'];
  return { config, weights, tokenizer: tokenizer.toJson(), trainer };
}

describe('words that training has not', () => {
  const held = [...known.slice(0, 8), sample('is it zebra'), sample('is it', 'no')];
  const line = '--data a.json --valid b.json --valid-samples 5 --eval-samples 5';

  it('are told of where they are held out, and a run that began with them goes on', async () => {
    const files = { 'a.json': known, 'b.json': held };
    const setup = await start(line, files);
    expect(setup.notes).toEqual([
      'b.json: 2 of 10 samples that are held out have words that no training sample has; the model cannot read these words, nor write them',
    ]);
    expect((await start(line, files, stopped(setup))).notes).toEqual(setup.notes);
    expect((await start(line, { ...files, 'b.json': known.slice(0, 10) })).notes).toEqual([]);
  });

  it('are refused where the vocabulary comes from elsewhere', async () => {
    const tokenizer = WordTokenizer.fromWords(['is', 'very', 'it']).toJson();
    const lacks = /^a\.json: "is it so yes" has words that the tokenizer t\.json does not know$/;
    expect(
      await userError(() =>
        start('--data a.json --tokenizer t.json', { 'a.json': known, 't.json': tokenizer }),
      ),
    ).toMatch(lacks);
    expect(RESERVED).not.toContain('so');
  });
});

it('says where the final evaluation has no samples of its own', async () => {
  const line = '--data a.json --valid b.json --valid-samples';
  const files = { 'a.json': known, 'b.json': known.slice(0, 10) };
  const same = await start(`${line} 10`, files);
  expect(same.test).toEqual(same.valid);
  expect(same.notes).toEqual([
    expect.stringMatching(/^b\.json: validation while training takes all 10 samples/),
  ]);
  const apart = await start(`${line} 6`, files);
  expect([apart.valid.length, apart.test.length, apart.notes]).toEqual([6, 4, []]);
});

describe('rows that the model has no room for', () => {
  it('are refused where they are among those looked at', async () => {
    expect(await userError(() => start('--preset prosqa-mini --positions 40', {}))).toMatch(
      /^the task prosqa-mini: a row of \d+ tokens is longer than the model's 40 positions$/,
    );
  });

  it('are drawn again where a task makes them later', async () => {
    const line = '--preset prosqa-mini --nodes 14 --max-edges 60 --seed 1 --valid-samples 1 --eval-samples 1';
    const setup = await start(line, {});
    const length = ({ train, tokenizer, curriculum }: SampleSetup, i: number): number =>
      longestRow(train.at(i), tokenizer, 'coconut', 3, curriculum);
    const longest = (from: number, to: number, made: SampleSetup): number =>
      Math.max(...Array.from({ length: to - from }, (_, i) => length(made, from + i)));
    // No more room than the 2,000 rows need that are looked at; of those after them some need more.
    const positions = longest(0, 2000, setup);
    expect(longest(2000, 2500, setup)).toBeGreaterThan(positions);
    const { config, ...rest } = stopped(setup);
    const tight = await start(line, {}, { ...rest, config: { ...config, positions } });
    expect(longest(2000, 2500, tight)).toBeLessThanOrEqual(positions);
    const fitting = Array.from({ length: 100 }, (_, i) => 2000 + i).filter(
      i => length(setup, i) <= positions,
    );
    for (const i of fitting) expect(tight.train.at(i)).toEqual(setup.train.at(i));
  });
});
