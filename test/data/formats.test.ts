// The published forms of data files other than our own: iCoT's lines and ProntoQA's object.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseData } from '../../src/data/formats.ts';
import { formatSamples } from '../../src/data/sample.ts';
import { userError } from '../formats/expect-error.ts';

describe('iCoT text', () => {
  it('is read line by line, steps by spaces', () => {
    const text =
      'Janet has 3 || 4 eggs?||<<16-3-4=9>> <<9*2=18>> #### 18\r\n\nHow many is #1?||#### 1,000\n' +
      'Out of 5?||<<5*1=5>>  #### -5';
    expect(parseData(text, 'gsm.txt')).toEqual([
      // The first bars end the question, as in the reference.
      { question: 'Janet has 3', steps: ['4', 'eggs?||<<16-3-4=9>>', '<<9*2=18>>'], answer: '18' },
      { question: 'How many is #1?', steps: [], answer: '1,000' },
      { question: 'Out of 5?', steps: ['<<5*1=5>>'], answer: '-5' },
    ]);
  });

  it('gives back what was written, whatever the words', () => {
    const word = fc.string({ minLength: 1, unit: 'grapheme' }).filter(text => !/[\s|#]/.test(text));
    const words = fc.array(word, { minLength: 1, maxLength: 5 });
    const sample = fc
      .record({ question: words, steps: fc.array(word, { maxLength: 4 }), answer: words })
      .filter(({ question }) => !/^[[{]/.test(question[0]!));
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 5 }), list => {
        const lines = list.map(
          s => `${s.question.join(' ')}||${s.steps.join(' ')} #### ${s.answer.join(' ')}`,
        );
        expect(parseData(lines.join('\n'), 'f')).toEqual(
          list.map(s => ({ ...s, question: s.question.join(' '), answer: s.answer.join(' ') })),
        );
      }),
    );
  });

  it.each([
    ['q||s', 'gsm.txt: line 1: expected question||steps #### answer, got "q||s"'],
    ['q||s #### 1\nq s #### 1', 'gsm.txt: line 2: expected question||steps #### answer, got "q s #### 1"'],
    ['q #### 1||s', 'gsm.txt: line 1: expected question||steps #### answer, got "q #### 1||s"'],
    [' ||s #### 1', 'gsm.txt: line 1: the question is empty, got "||s #### 1"'],
    ['q||s ####  ', 'gsm.txt: line 1: the answer is empty, got "q||s ####"'],
  ])('refuses %j', async (text, message) => {
    expect(await userError(() => parseData(text, 'gsm.txt'))).toBe(message);
  });
});

describe("ProntoQA's JSON", () => {
  const example = {
    question: 'Every yumpus is a dumpus. Max is a yumpus.',
    query: 'True or false: Max is a dumpus.',
    chain_of_thought: ['Max is a yumpus.', 'Every yumpus is a dumpus.', 'Max is a dumpus.'],
    answer: 'True',
  };
  const file = (change: object) =>
    JSON.stringify({
      example1: {
        in_context_example0: { ...example, answer: 'False' },
        test_example: { ...example, ...change },
      },
    });

  it('is read as the reference reads it: the query after the question, two sentences a step', () => {
    expect(parseData(file({}), 'p.json')).toEqual([
      {
        question: 'Every yumpus is a dumpus. Max is a yumpus. True or false: Max is a dumpus.',
        steps: ['Max is a yumpus. Every yumpus is a dumpus.', 'Max is a dumpus.'],
        answer: 'True',
      },
    ]);
    expect(parseData(file({ chain_of_thought: [] }), 'p.json')[0]!.steps).toEqual([]);
  });

  it.each([
    [file({ query: 3 }), 'p.json: "example1": "query": expected text, got 3'],
    [file({ answer: '' }), 'p.json: "example1": "answer": expected text, got ""'],
    [file({ chain_of_thought: 'x' }), 'p.json: "example1": "chain_of_thought": expected a list, got "x"'],
    [
      file({ chain_of_thought: ['x', {}] }),
      'p.json: "example1": "chain_of_thought"[1]: expected text, got {}',
    ],
    ['{"a": {"test_example": 1}}', 'p.json: "a": "test_example" is missing or no object'],
    ['{"a": 1, "b": "\\"test_example\\""}', undefined],
    [`${file({}).slice(0, -2)}`, undefined],
  ])('refuses %j', async (text, message) => {
    const found = await userError(() => parseData(text, 'p.json'));
    if (message === undefined) expect(found).toMatch(/^p\.json: /);
    else expect(found).toBe(message);
  });
});

it('the JSON list stays what it was, bars in its text or not', () => {
  const samples = [{ question: 'a || b "test_example"', steps: ['||'], answer: '#### 1' }];
  expect(parseData(formatSamples(samples), 'f')).toEqual(samples);
});
