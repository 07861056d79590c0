// Byte-level BPE as the text of a tokenizer.json, made of GPT-2's older files, vocab.json and merges.txt, or of bytes
// alone. Knows these forms; what the vocabulary must hold is bpe-tokenizer.ts's to say.
import { UserError } from '../errors.ts';
import { isObject, type Json, type JsonObject, parseJson } from '../json.ts';
import { byteSymbols, END_OF_TEXT } from './bpe-tokenizer.ts';

/** The text of a `tokenizer.json`; a fault is a UserError of one line that names the file. */
export function tokenizerJson(
  vocab: { readonly text: string; readonly path: string },
  merges: { readonly text: string; readonly path: string },
): string {
  const ids = parseJson(vocab.text, vocab.path);
  if (!isObject(ids)) throw new UserError(`${vocab.path}: expected a JSON object of tokens and ids`);
  const lines = merges.text
    .split('\n')
    .filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#')));
  const bad = lines.find(line => !/^\S+ \S+$/.test(line));
  if (bad !== undefined || lines.length === 0)
    throw new UserError(
      `${merges.path}: expected lines of two tokens, as GPT-2's merges.txt or vocab.bpe has`,
    );
  return fileOf(ids, lines);
}

/** The text of a `tokenizer.json` that merges nothing: a token a byte, and one that ends a text. */
export function byteLevelJson(): string {
  const tokens = [...byteSymbols(), END_OF_TEXT];
  return fileOf(Object.fromEntries(tokens.map((token, id) => [token, id])), []);
}

function fileOf(ids: JsonObject, merges: readonly string[]): string {
  // GPT-2's one special token, which stands in the vocabulary and is no result of merges.
  const special = Object.entries(ids).filter(([token]) => token === END_OF_TEXT);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const file: Json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab: ids,
      merges,
    },
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}
