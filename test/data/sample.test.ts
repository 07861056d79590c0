import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prosqaSample } from '../../src/data/prosqa.ts';
import { formatSamples, parseSamples } from '../../src/data/sample.ts';
import { UserError } from '../../src/errors.ts';

function messageOf(text: string): string {
  try {
    parseSamples(text, 'data.json');
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'no error';
}

const plain = { question: 'q', steps: ['s'], answer: 'a' };
const graphed = {
  ...plain,
  idx_to_symbol: ['x', 'y', 'z'],
  edges: [
    [0, 1],
    [0, 2],
  ],
  root: 0,
  target: 1,
  neg_target: 2,
};
const without = (item: object, key: string): object =>
  Object.fromEntries(Object.entries(item).filter(([name]) => name !== key));

describe('parseSamples', () => {
  it('reads both forms', () => {
    expect(parseSamples(JSON.stringify([{ ...plain, extra: 1 }]), 'f')).toEqual([plain]);
    expect(parseSamples(JSON.stringify([graphed]), 'f')).toEqual([
      {
        ...plain,
        graph: {
          symbols: ['x', 'y', 'z'],
          edges: [
            [0, 1],
            [0, 2],
          ],
          root: 0,
          target: 1,
          distractor: 2,
        },
      },
    ]);
  });

  it('reads what formatSamples writes', () => {
    const text = fc.string({ unit: 'binary' });
    const samples = fc.array(
      fc.record({
        question: text,
        steps: fc.array(text),
        answer: text.filter(answer => answer.trim() !== ''),
      }),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(samples, list => {
        expect(parseSamples(formatSamples(list), 'f')).toEqual(list);
      }),
    );
    const generated = [0, 1, 2].map(index => prosqaSample(1, index));
    expect(parseSamples(formatSamples(generated), 'f')).toEqual(generated);
    expect(formatSamples(generated).trimEnd().split('\n')).toHaveLength(5);
  });

  it.each([
    ['', 'data.json: the file is empty'],
    ['  \n', 'data.json: the file is empty'],
    ['[{"question": "q", "ste', 'data.json: not valid JSON'],
    [JSON.stringify(plain), 'data.json: expected a JSON list of {question, steps, answer}, got an object'],
    ['null', 'data.json: expected a JSON list of {question, steps, answer}, got null'],
    ['[]', 'data.json: the list is empty, expected at least one sample'],
    ['[1]', 'data.json: item 0: expected an object, got a number (1)'],
    [JSON.stringify([plain, null]), 'data.json: item 1: expected an object, got null'],
    [JSON.stringify([plain, without(plain, 'steps')]), 'data.json: item 1: the key "steps" is missing'],
    [JSON.stringify([without(plain, 'question')]), 'data.json: item 0: the key "question" is missing'],
    [JSON.stringify([without(plain, 'answer')]), 'data.json: item 0: the key "answer" is missing'],
    [JSON.stringify([{ ...plain, question: 3 }]), '"question": expected text, got a number (3)'],
    [JSON.stringify([{ ...plain, answer: null }]), '"answer": expected text, got null'],
    [JSON.stringify([{ ...plain, answer: ' ' }]), 'data.json: item 0: "answer" is empty'],
    [JSON.stringify([{ ...plain, steps: 'a' }]), '"steps": expected a list, got a string ("a")'],
    [JSON.stringify([{ ...plain, steps: ['a', {}] }]), '"steps"[1]: expected text, got an object'],
    [JSON.stringify([without(graphed, 'root')]), 'data.json: item 0: the key "root" is missing'],
    [JSON.stringify([without(graphed, 'idx_to_symbol')]), 'the key "idx_to_symbol" is missing'],
    [JSON.stringify([{ ...graphed, target: 3 }]), '"target": expected a node from 0 to 2'],
    [JSON.stringify([{ ...graphed, root: -1 }]), '"root": expected a node from 0 to 2'],
    [JSON.stringify([{ ...graphed, neg_target: '1' }]), 'names), got "1"'],
    [JSON.stringify([{ ...graphed, edges: [[0, 1], [0]] }]), '"edges"[1]: expected a pair'],
    [JSON.stringify([{ ...graphed, edges: [[0, 9]] }]), '"edges"[0]: expected a node from 0 to 2'],
    [JSON.stringify([{ ...graphed, idx_to_symbol: [1] }]), '"idx_to_symbol"[0]: expected text'],
  ])('refuses %j', (text, part) => {
    const message = messageOf(text);
    expect(message).toContain(part);
    expect(message).toMatch(/^data\.json: [^\n]+$/);
  });
});
