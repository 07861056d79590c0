import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BpeTokenizer } from '../../src/data/bpe-tokenizer.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { isAnswer } from '../../src/eval/evaluate.ts';
import { afterMark, isRight } from '../../src/eval/scoring.ts';
import { gpt2Json } from '../data/gpt2.ts';

describe('isRight', () => {
  it.each([
    ['18', '18', true, true],
    [' 18 ', '18', true, true],
    ['18.0', '18', false, true],
    ['1,000', '1000', false, true],
    ['1000', '1,000', false, true],
    ['# 18', '18', false, true],
    ['17 #### 18', '18', false, true],
    ['-.5', '-0.50', false, true],
    ['+3', '3', false, true],
    ['18 eggs', '18', false, false],
    ['', '0', false, false],
    ['1e1', '10', false, false],
    ['0x12', '18', false, false],
    ['181', '18', false, false],
    ['True', 'True', true, true],
    ['True', 'False', false, false],
    ['Tom is a lempus.', 'Tom is a lempus.', true, true],
  ])('%j for %j: as text %s, as number %s', (written, answer, text, number) => {
    expect(isRight(written, answer, 'text')).toBe(text);
    expect(isRight(written, answer, 'number')).toBe(number);
  });

  it('knows every number in its usual ways of writing', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: -1e9, max: 1e9 }), (a, b) => {
        for (const written of [String(a), a.toLocaleString('en-US'), `${a}.00`, `so ## ${a}`])
          expect(isRight(written, String(b), 'number'), written).toBe(a === b);
        expect(isRight(`${a.toLocaleString('en-US')}.`, String(a), 'number')).toBe(true);
      }),
    );
  });
});

describe('isAnswer', () => {
  const tokenizer = BpeTokenizer.fromJson(gpt2Json(), 'tokenizer.json');
  const sample = { question: 'q', steps: [], answer: '1,018' };
  it.each([
    ['<<1018>>\n### 1,018', true, true],
    ['<<1018>>\n### 1018', false, true],
    ['#### 1,018', false, true], // One token of GPT-2, and not the marker.
    ['### 7\n### 1,018', true, true],
    ['### 1,018 # 7', false, false],
    ['1018', false, false],
    ['', false, false],
  ])('%j: as text %s, as number %s', (written, text, number) => {
    const tokens = tokenizer.encode(written);
    expect(isAnswer(tokens, sample, tokenizer, 'text')).toBe(text);
    expect(isAnswer(tokens, sample, tokenizer, 'number')).toBe(number);
  });
});

it('an answer without tokens of its own is never right', () => {
  const tokenizer = WordTokenizer.fromWords(['yes']);
  const written = [tokenizer.marker, tokenizer.unknown];
  expect(isAnswer(written, { question: 'q', steps: [], answer: 'no' }, tokenizer)).toBe(false);
  const yes = [tokenizer.marker, ...tokenizer.encode('yes')];
  expect(isAnswer(yes, { question: 'q', steps: [], answer: 'yes' }, tokenizer)).toBe(true);
});

it('afterMark takes all where there is no mark', () => {
  expect(afterMark(' 1,2 ')).toBe('12');
  expect(afterMark('a # b # c, d')).toBe('c d');
});
