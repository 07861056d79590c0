// A word-level tokenizer and its Hugging Face file form. Knows which text makes which tokens; knows no task, no
// curriculum and no file system. The `tokenizers` library reads the file and splits and joins in the same way.
import { UserError } from '../errors.ts';
import { isObject, type Json, type JsonObject, parseJson, show } from '../json.ts';
import type { Sample } from './sample.ts';
import { ANSWER_MARKER, MARKERS, type Part, type Tokenizer } from './tokenizer.ts';

/** Tokens every vocabulary begins with, in the order of their ids. */
export const RESERVED = [
  '<pad>',
  '<unk>',
  '<eos>',
  MARKERS.startLatent,
  MARKERS.endLatent,
  MARKERS.latent,
  ANSWER_MARKER,
] as const;

const PUNCTUATION = '[\\p{P}\\p{S}]';
// Decoding puts no space before these.
const CLOSING = '[.?!,;:]';
const CLOSING_PATTERN = new RegExp(`^${CLOSING}$`, 'u');
// A reserved token, else one punctuation mark or symbol, else all up to the next of these or white space. Reserved
// tokens begin with punctuation, so none can hide inside a word. \p{White_Space} and not \s: the latter counts
// U+FEFF and not U+0085, unlike the library.
const WORD = new RegExp(
  `${RESERVED.map(escapePattern).join('|')}|${PUNCTUATION}|[^\\p{White_Space}\\p{P}\\p{S}]+`,
  'gu',
);

/** Text to words: reserved tokens whole, each punctuation mark and symbol by itself, the rest at white space. */
export function splitWords(text: string): string[] {
  return text.match(WORD) ?? [];
}

export class WordTokenizer implements Tokenizer {
  /** Words by id, the reserved ones included. */
  readonly words: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly pad: number;
  readonly unknown: number;
  readonly eos: number;
  readonly startLatent: number;
  readonly endLatent: number;
  readonly latent: number;
  readonly marker: number;

  /** `words` by id: all different, all of RESERVED among them (in any place). */
  constructor(words: readonly string[]) {
    this.words = [...words];
    this.#ids = new Map(words.map((word, id) => [word, id]));
    if (this.#ids.size !== words.length) throw new Error('WordTokenizer: a word occurs twice');
    const reserved = (word: (typeof RESERVED)[number]): number => {
      const id = this.#ids.get(word);
      if (id === undefined) throw new Error(`WordTokenizer: the reserved token ${word} is missing`);
      return id;
    };
    this.pad = reserved('<pad>');
    this.unknown = reserved('<unk>');
    this.eos = reserved('<eos>');
    this.startLatent = reserved(MARKERS.startLatent);
    this.endLatent = reserved(MARKERS.endLatent);
    this.latent = reserved(MARKERS.latent);
    this.marker = reserved(ANSWER_MARKER);
  }

  /** The tokenizer of a fixed vocabulary; RESERVED comes first and repeated words count once. */
  static fromWords(words: Iterable<string>): WordTokenizer {
    const all = new Set<string>(RESERVED);
    for (const word of words) {
      const parts = splitWords(word);
      if (parts.length !== 1)
        throw new Error(`WordTokenizer: "${word}" is ${parts.length} words, expected one`);
      all.add(word);
    }
    return new WordTokenizer([...all]);
  }

  /** Every word of the samples, sorted, so that the order of the samples does not matter. */
  static fromSamples(samples: Iterable<Sample>): WordTokenizer {
    const words = new Set<string>();
    for (const { question, steps, answer } of samples) {
      for (const text of [question, ...steps, answer]) for (const word of splitWords(text)) words.add(word);
    }
    return WordTokenizer.fromWords([...words].sort());
  }

  /** V, the number of words, the reserved ones included. */
  get size(): number {
    return this.words.length;
  }

  id(word: string): number | undefined {
    return this.#ids.get(word);
  }

  /** Words outside the vocabulary become `unknown`. */
  encode(text: string): number[] {
    return splitWords(text).map(word => this.#ids.get(word) ?? this.unknown);
  }

  /** White space makes no tokens, so nothing separates the parts. */
  encodePart(_part: Part, text: string): number[] {
    return this.encode(text);
  }

  /** Words joined by spaces, with none before closing punctuation. Reserved tokens are written out like others. */
  decode(ids: Iterable<number>): string {
    let text = '';
    for (const id of ids) {
      const word = this.words[id];
      if (word === undefined) throw new Error(`WordTokenizer: no token has id ${id}, there are ${this.size}`);
      text += text === '' || CLOSING_PATTERN.test(word) ? word : ` ${word}`;
    }
    return text;
  }

  /** The text of a Hugging Face `tokenizer.json`: a WordLevel model with our splitting and joining. */
  toJson(): string {
    const reserved = RESERVED.map(content => ({
      id: this.#ids.get(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: content !== ANSWER_MARKER,
    }));
    const file = {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: reserved.sort((a, b) => a.id! - b.id!),
      normalizer: null,
      pre_tokenizer: PRE_TOKENIZER,
      post_processor: null,
      decoder: DECODER,
      model: { type: 'WordLevel', vocab: Object.fromEntries(this.#ids), unk_token: '<unk>' },
    };
    return `${JSON.stringify(file, null, 2)}\n`;
  }

  /** Reads what `toJson` wrote. Another kind of tokenizer, or a broken file, is a UserError of one line. */
  static fromJson(text: string, fileName: string): WordTokenizer {
    const file = parseJson(text, fileName);
    if (!isObject(file)) throw new UserError(`${fileName}: expected a JSON object, got ${show(file)}`);
    const model = file.model;
    if (!isObject(model)) throw new UserError(`${fileName}: "model" is missing or no object`);
    if (model.type !== 'WordLevel') {
      throw new UserError(
        `${fileName}: "model.type" is ${show(model.type)}, only "WordLevel" and byte-level "BPE" can be read`,
      );
    }
    if (!sameJson(file.pre_tokenizer, PRE_TOKENIZER)) {
      throw new UserError(`${fileName}: "pre_tokenizer" splits text in another way than this tokenizer does`);
    }
    const { vocab } = model;
    if (!isObject(vocab)) throw new UserError(`${fileName}: "model.vocab" is missing or no object`);
    const words = wordsById(vocab, fileName);
    for (const word of RESERVED) {
      if (!Object.hasOwn(vocab, word)) {
        throw new UserError(`${fileName}: "model.vocab" lacks the token ${word}`);
      }
    }
    return new WordTokenizer(words);
  }
}

function wordsById(vocab: JsonObject, fileName: string): string[] {
  const entries = Object.entries(vocab);
  const words: string[] = [];
  for (const [word, id] of entries) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= entries.length) {
      throw new UserError(
        `${fileName}: "model.vocab" gives ${show(word)} the id ${show(id)}, expected 0 to ${entries.length - 1}`,
      );
    }
    if (words[id] !== undefined) {
      throw new UserError(
        `${fileName}: "model.vocab" gives ${show(words[id])} and ${show(word)} the same id ${id}`,
      );
    }
    words[id] = word;
  }
  return words;
}

/** Splits as `splitWords` does; reserved tokens are cut out before, since they are `added_tokens`. */
const PRE_TOKENIZER: Json = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'WhitespaceSplit' },
    { type: 'Split', pattern: { Regex: PUNCTUATION }, behavior: 'Isolated', invert: false },
  ],
};

/** Joins as `decode` does: a space before every token but closing punctuation, then the first space is cut off. */
const DECODER: Json = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { Regex: `^(?!${CLOSING}$)` }, content: ' ' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 0 },
  ],
};

/** Equality of JSON values, whatever the order of keys: the library and other writers choose their own. */
function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every(key => sameJson(a[key], b[key]));
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item: Json, index) => sameJson(item, b[index]));
  }
  return a === b;
}

function escapePattern(text: string): string {
  return text.replace(/[|\\{}()[\]^$+*?.]/g, '\\$&');
}
