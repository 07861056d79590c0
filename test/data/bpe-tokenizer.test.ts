// Byte-level BPE against GPT-2's own encoder on a whole book, round trips of any text and any tokens, and files that
// are refused.
import fc from 'fast-check';
import * as encoder from 'gpt-3-encoder';
import { describe, expect, it } from 'vitest';
import { tokenizerJson } from '../../src/data/bpe-files.ts';
import { BpeTokenizer, byteSymbols } from '../../src/data/bpe-tokenizer.ts';
import { userError } from '../formats/expect-error.ts';
import { book, gpt2Json } from './gpt2.ts';

const json = gpt2Json();
const gpt2 = BpeTokenizer.fromJson(json, 'tokenizer.json');

/** Parts of a text of about `size` characters: cut between lines where no token of GPT-2 reaches across. */
function parts(text: string, size: number): string[] {
  const out: string[] = [];
  let from = 0;
  for (const { index } of text.matchAll(/(?<=\S)\n(?=\S)/g)) {
    if (index + 1 - from < size) continue;
    out.push(text.slice(from, index + 1));
    from = index + 1;
  }
  return [...out, text.slice(from)];
}

describe("GPT-2's vocabulary", () => {
  it('makes the same ids of a book as its own encoder, and the book of them again', () => {
    const text = book();
    const ids = gpt2.encode(text);
    // In parts, as that encoder's time grows with the square of a text's length.
    expect(ids).toEqual(parts(text, 20_000).flatMap(part => encoder.encode(part)));
    expect(ids.length).toBe(317_756);
    expect(gpt2.decode(ids) === text).toBe(true);
    expect(encoder.decode(ids) === text).toBe(true);
  });

  it('comes back from any text, byte for byte', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        const whole = text.toWellFormed();
        const ids = gpt2.encode(whole);
        expect(ids).toEqual(encoder.encode(whole));
        expect(gpt2.decode(ids)).toBe(whole);
      }),
      { numRuns: 500 },
    );
    // What tidies text up for people would not give back.
    const spaced = "It is n't , he said . Is it ? No ! 's 've";
    expect(gpt2.decode(gpt2.encode(spaced))).toBe(spaced);
    // Bytes by themselves, as latin-1 text and as UTF-8 where they happen to be.
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        const text = Buffer.from(bytes).toString('latin1');
        expect(gpt2.decode(gpt2.encode(text))).toBe(text);
        const lossy = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        expect(gpt2.decode(gpt2.encode(lossy))).toBe(lossy);
      }),
    );
  });

  it('writes any tokens as the encoder does, halves of characters included', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50_255), { maxLength: 30 }), ids => {
        const theirs = encoder.decode(ids);
        // Their decoder drops a byte-order mark at the start.
        expect(gpt2.decode(ids).replace(/^\ufeff/, '')).toBe(theirs);
      }),
    );
    expect(gpt2.decode([])).toBe('');
    expect(() => gpt2.decode([50_300])).toThrow(/no token has id 50300/);
  });
});

describe('the markers', () => {
  it('follow the last token in the order of the reference, and ### is one token already', () => {
    expect([gpt2.eos, gpt2.pad, gpt2.unknown]).toEqual([50256, 50256, -1]);
    expect([gpt2.startLatent, gpt2.endLatent, gpt2.latent]).toEqual([50257, 50258, 50259]);
    expect(gpt2.marker).toBe(21017);
    expect(gpt2.size).toBe(50260);
    expect([...gpt2.added]).toEqual([
      [50257, '<|start-latent|>'],
      [50258, '<|end-latent|>'],
      [50259, '<|latent|>'],
    ]);
    expect(gpt2.encode('a<|latent|><|latent|> b')).toEqual([64, 50259, 50259, 275]);
    expect(gpt2.decode([64, 50257, 50259, 50258, 275, 50256])).toBe(
      'a<|start-latent|><|latent|><|end-latent|> b<|endoftext|>',
    );
    expect(gpt2.words.length).toBe(50260);
    expect([gpt2.words[64], gpt2.words[275], gpt2.words[50259]]).toEqual(['a', ' b', '<|latent|>']);
  });

  it('are found again in the file that is written, which then stays as it is', () => {
    const again = BpeTokenizer.fromJson(gpt2.toJson(), 'tokenizer.json', 50256);
    expect(again.added.size).toBe(0);
    expect(again.toJson()).toBe(gpt2.toJson());
    expect([again.startLatent, again.endLatent, again.latent, again.size]).toEqual([
      50257, 50258, 50259, 50260,
    ]);
    const added = JSON.parse(gpt2.toJson()).added_tokens;
    expect(
      added.map((token: { content: string; special: boolean }) => [token.content, token.special]),
    ).toEqual([
      ['<|endoftext|>', true],
      ['<|start-latent|>', true],
      ['<|end-latent|>', true],
      ['<|latent|>', true],
    ]);
  });

  it('write the parts of a row as the reference does: lines, and ### before the answer', () => {
    const row = [
      ...gpt2.encodePart('question', 'How many?'),
      ...gpt2.encodePart('step', '<<1+1=2>>'),
      gpt2.marker,
      ...gpt2.encodePart('answer', '2'),
    ];
    expect(gpt2.decode(row)).toBe('How many?\n<<1+1=2>>\n### 2');
    expect(row).toEqual(gpt2.encode('How many?\n<<1+1=2>>\n### 2'));
  });
});

/** A byte-level BPE of the bytes alone and of what `merges` makes. */
function small(
  merges: readonly string[],
  change: (file: ReturnType<typeof parsed>) => unknown = () => {},
): string {
  const tokens = [...new Set([...byteSymbols(), ...merges.map(merge => merge.replace(' ', ''))])];
  const vocab = JSON.stringify(Object.fromEntries(tokens.map((token, id) => [token, id])));
  const file = parsed(
    tokenizerJson({ text: vocab, path: 'vocab.json' }, { text: merges.join('\n'), path: 'merges.txt' }),
  );
  change(file);
  return JSON.stringify(file);
}
const parsed = (text: string) =>
  JSON.parse(text) as Record<string, unknown> & {
    model: { type: string; vocab: Record<string, unknown>; merges: unknown };
    added_tokens: unknown[];
  };

describe('any byte-level BPE', () => {
  it('comes back from any text, whatever its merges', () => {
    const symbols = byteSymbols();
    expect(symbols.length).toBe(243);
    const merges = fc.uniqueArray(
      fc.tuple(fc.constantFrom(...symbols), fc.constantFrom(...symbols)).map(pair => pair.join(' ')),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(merges, fc.string({ unit: 'binary' }), (list, text) => {
        const tokenizer = BpeTokenizer.fromJson(small(list), 't', 0);
        const whole = text.toWellFormed();
        expect(tokenizer.decode(tokenizer.encode(whole))).toBe(whole);
      }),
      { numRuns: 60 },
    );
  });

  it('gets ### as a token where its merges do not make it one', () => {
    const tokenizer = BpeTokenizer.fromJson(small(['a b']), 't', 0);
    expect(tokenizer.added.get(tokenizer.marker)).toBe('###');
    expect(tokenizer.encode('ab###')).toEqual([243, tokenizer.marker]);
    expect(tokenizer.size).toBe(244 + 4);
    const own = BpeTokenizer.fromJson(small(['# #', '## #']), 't', 0);
    expect(own.marker).toBe(244);
    expect([...own.added.values()]).not.toContain('###');
  });

  it.each<[string, string, number | undefined, RegExp]>([
    ['nothing', '', 0, /^t: the file is empty/],
    ['a list', '[]', 0, /^t: expected a JSON object, got \[\]/],
    ['no model', '{}', 0, /^t: "model.vocab" is missing/],
    [
      'no merges',
      small(['a b'], f => Reflect.deleteProperty(f.model, 'merges')),
      0,
      /"model.merges" is missing/,
    ],
    [
      'half a merge',
      small(['a b'], f => (f.model.merges = ['a'])),
      0,
      /"model.merges"\[0\] is "a", expected two/,
    ],
    ['a merge of no token', small(['a b'], f => (f.model.merges = [['a', 'c']])), 0, /\[0\] is \["a","c"\]/],
    [
      'a byte less',
      small(['a b'], f => Reflect.deleteProperty(f.model.vocab, 'z')),
      0,
      /lacks tokens of 1 bytes/,
    ],
    ['an id twice', small(['a b'], f => (f.model.vocab.q = 0)), 0, /"Ā" and "q" have the same id 0/],
    ['a word for an id', small(['a b'], f => (f.model.vocab.q = 'x')), 0, /gives "q" the id "x"/],
    [
      'a token without id',
      small(['a b'], f => f.added_tokens.push({ content: 'x' })),
      0,
      /"x" the id undefined/,
    ],
    [
      'a nameless token',
      small(['a b'], f => f.added_tokens.push({ id: 9 })),
      0,
      /"added_tokens" has {"id":9}/,
    ],
    [
      'words split otherwise',
      small(['a b'], f => (f.pre_tokenizer = { type: 'Metaspace' })),
      0,
      /"pre_tokenizer" is not "ByteLevel"/,
    ],
    ['no decoder', small(['a b'], f => (f.decoder = null)), 0, /"decoder" is not "ByteLevel"/],
    [
      'an unknown normalizer',
      small(['a b'], f => (f.normalizer = { type: 'Odd' })),
      0,
      /cannot be used: .*Odd/,
    ],
    ['no end of text', small(['a b']), undefined, /has no <\|endoftext\|>: give eos_token_id in config.json/],
    ['an end that is no token', small(['a b']), 300, /no token has the id 300, eos_token_id in config.json/],
  ])('is refused with %s', async (_, text, eos, fault) => {
    expect(await userError(() => BpeTokenizer.fromJson(text, 't', eos))).toMatch(fault);
  });
});

describe('vocab.json and merges.txt', () => {
  it.each<[string, string, RegExp]>([
    ['[]', 'a b', /^v: expected a JSON object/],
    ['{"a":', 'a b', /^v: not valid JSON/],
    ['{"a": 0}', '#version: 0.2\n', /^m: expected lines of two tokens/],
    ['{"a": 0}', '#version: 0.2\na b\nc\n', /^m: expected lines of two tokens/],
  ])('are refused: %j %j', async (vocab, merges, fault) => {
    const work = () => tokenizerJson({ text: vocab, path: 'v' }, { text: merges, path: 'm' });
    expect(await userError(work)).toMatch(fault);
  });
});
