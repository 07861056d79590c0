import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RESERVED, splitWords, WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { UserError } from '../../src/errors.ts';

const words = ['Tom', 'is', 'a', 'lempus', '.', '?', 'Is', 'or', 'Every', '7', 'naïve', '数', '$'];
const tokenizer = WordTokenizer.fromWords(words);

describe('splitWords', () => {
  it.each([
    ['Is Tom a lempus or bompus?', ['Is', 'Tom', 'a', 'lempus', 'or', 'bompus', '?']],
    ['  Tom\tis\n a  lempus. ', ['Tom', 'is', 'a', 'lempus', '.']],
    ['### Tom', ['###', 'Tom']],
    ['a###b ## #', ['a', '###', 'b', '#', '#', '#']],
    ['?<|start-latent|><|latent|><|latent|>', ['?', '<|start-latent|>', '<|latent|>', '<|latent|>']],
    ['<|latent>', ['<', '|', 'latent', '>']],
    ['<<16-3=13>>', ['<', '<', '16', '-', '3', '=', '13', '>', '>']],
    ['a\u00a0b\u3000c\u0085d\ufeffe', ['a', 'b', 'c', 'd\ufeffe']],
    ['snake_case $5', ['snake', '_', 'case', '$', '5']],
    ['', []],
  ])('%j', (text, expected) => {
    expect(splitWords(text)).toEqual(expected);
  });
});

describe('Tokenizer', () => {
  it('numbers the reserved tokens first, then the words', () => {
    expect(tokenizer.words).toEqual([...RESERVED, ...words]);
    expect(tokenizer.size).toBe(20);
    expect([tokenizer.pad, tokenizer.unknown, tokenizer.eos, tokenizer.marker]).toEqual([0, 1, 2, 6]);
    expect([tokenizer.startLatent, tokenizer.endLatent, tokenizer.latent]).toEqual([3, 4, 5]);
    expect(tokenizer.encode('Is Tom a bompus?')).toEqual([13, 7, 9, tokenizer.unknown, 12]);
    expect(tokenizer.decode([3, 5, 4, 6, 7, 8, 9, 10, 11, 2])).toBe(
      '<|start-latent|> <|latent|> <|end-latent|> ### Tom is a lempus. <eos>',
    );
    expect(() => tokenizer.decode([20])).toThrow(/no token has id 20/);
  });

  it('is built from data whatever its order', () => {
    const samples = [
      { question: 'Is b a?', steps: ['b a.'], answer: 'a' },
      { question: 'c', steps: [], answer: '### d' },
    ];
    const built = WordTokenizer.fromSamples(samples);
    expect(built.words).toEqual([...RESERVED, '.', '?', 'Is', 'a', 'b', 'c', 'd']);
    expect(WordTokenizer.fromSamples(samples.toReversed()).words).toEqual(built.words);
  });

  it('refuses a vocabulary that it could not split into', () => {
    expect(() => WordTokenizer.fromWords(['a b'])).toThrow(/2 words/);
    expect(() => WordTokenizer.fromWords(['a.'])).toThrow(/2 words/);
    expect(() => new WordTokenizer(['a', 'b'])).toThrow(/reserved token <pad>/);
    expect(() => new WordTokenizer([...RESERVED, 'a', 'a'])).toThrow(/twice/);
  });

  it('encodes what it decoded to the same tokens', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.size - 1)), ids => {
        expect(tokenizer.encode(tokenizer.decode(ids))).toEqual(ids);
      }),
    );
  });

  it('decodes to the same text that words and closing punctuation were in', () => {
    const sentence = fc
      .array(fc.constantFrom(...words.filter(word => !['.', '?'].includes(word))), { minLength: 1 })
      .chain(list => fc.constantFrom('.', '?', '').map(end => list.join(' ') + end));
    fc.assert(
      fc.property(fc.array(sentence), sentences => {
        const text = sentences.join(' ');
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });

  it('splits any text into non-empty words without white space, and forgets nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const parts = splitWords(text);
        expect(parts.join('')).toBe(text.replace(/\p{White_Space}/gu, ''));
        for (const part of parts) expect(part).toMatch(/^\P{White_Space}+$/u);
      }),
    );
  });
});

describe('tokenizer.json', () => {
  const text = tokenizer.toJson();
  const file = JSON.parse(text);

  it('round-trips', () => {
    expect(WordTokenizer.fromJson(text, 't').words).toEqual(tokenizer.words);
    expect(WordTokenizer.fromJson(text, 't').toJson()).toBe(text);
    const odd = WordTokenizer.fromWords([
      '__proto__'.replaceAll('_', 'x'),
      'constructor',
      '10',
      '9',
      'toString',
    ]);
    expect(WordTokenizer.fromJson(odd.toJson(), 't').words).toEqual(odd.words);
    expect(odd.encode('hasOwnProperty')).toEqual([odd.unknown]);
  });

  it('reads a vocabulary whose reserved tokens lie elsewhere', () => {
    const moved = new WordTokenizer(['a', ...RESERVED.toReversed(), 'b']);
    const read = WordTokenizer.fromJson(moved.toJson(), 't');
    expect(read.words).toEqual(moved.words);
    expect(read.pad).toBe(7);
  });

  it('has the form that the tokenizers library reads', () => {
    expect(file.model.type).toBe('WordLevel');
    expect(file.model.unk_token).toBe('<unk>');
    expect(file.added_tokens.map((token: { content: string }) => token.content)).toEqual(RESERVED);
    for (const { id, content, special } of file.added_tokens) {
      expect(file.model.vocab[content]).toBe(id);
      // Decoders skip special tokens; the marker before the answer must stay.
      expect(special).toBe(content !== '###');
    }
  });

  const changed = (change: (copy: typeof file) => void): string => {
    const copy = structuredClone(file);
    change(copy);
    return JSON.stringify(copy);
  };
  it.each([
    ['', 'the file is empty'],
    [text.slice(0, 100), 'not valid JSON'],
    ['[]', 'expected a JSON object, got []'],
    ['{}', '"model" is missing'],
    [
      changed(f => (f.model.type = 'BPE')),
      '"model.type" is "BPE", only "WordLevel" and byte-level "BPE" can be read',
    ],
    [changed(f => (f.pre_tokenizer = { type: 'Whitespace' })), '"pre_tokenizer" splits text in another way'],
    [changed(f => (f.model.vocab = null)), '"model.vocab" is missing'],
    [changed(f => (f.model.vocab.Tom = 'x')), '"model.vocab" gives "Tom" the id "x", expected 0 to 19'],
    [changed(f => (f.model.vocab.Tom = 99)), '"model.vocab" gives "Tom" the id 99, expected 0 to 19'],
    [changed(f => (f.model.vocab.Tom = 8)), 'the same id 8'],
    [
      changed(f => {
        delete f.model.vocab['<eos>'];
        f.model.vocab.other = 2;
      }),
      '"model.vocab" lacks the token <eos>',
    ],
  ])('refuses a broken file (%#)', (broken, part) => {
    let message = 'no error';
    try {
      WordTokenizer.fromJson(broken, 'tokenizer.json');
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      message = (error as Error).message;
    }
    expect(message).toContain(part);
    expect(message).toMatch(/^tokenizer\.json: [^\n]+$/);
  });
});
