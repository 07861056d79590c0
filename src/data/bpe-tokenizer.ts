// Byte-level BPE, GPT-2's kind of tokenizer: whatever `tokenizer.json` of it the hub has, through the library that
// Hugging Face keeps for JavaScript. Knows the file's form and what a byte-level one must hold; knows no model.
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { UserError } from '../errors.ts';
import { isObject, type Json, type JsonObject, parseJson, show } from '../json.ts';
import { ANSWER_MARKER, MARKERS, type Part, type Tokenizer } from './tokenizer.ts';

/** Whether a vocabulary without the latent markers gets them. Only what never reasons can do without. */
export type Markers = 'added' | 'as they are';

/** Ends a text in GPT-2's vocabulary. */
export const END_OF_TEXT = '<|endoftext|>';

export class BpeTokenizer implements Tokenizer {
  readonly size: number;
  readonly eos: number;
  readonly startLatent: number;
  readonly endLatent: number;
  readonly latent: number;
  readonly marker: number;
  /** Every byte has a token. */
  readonly unknown = -1;
  /** Tokens that the file did not have: their ids, and their text; none where markers stay as they are. */
  readonly added: ReadonlyMap<number, string>;
  readonly #library: Library;
  readonly #json: string;
  #words: readonly string[] | undefined;

  /**
   * Reads a `tokenizer.json` of a byte-level BPE. The latent markers, and `###` where it is not one token, become
   * tokens of the file's end if it has none of these names, in the order of the reference: start, end, latent; unless
   * they are to stay as they are. `eos` is what config.json says; without it `<|endoftext|>` ends a text. Another kind
   * of tokenizer, or a broken file, is a UserError of one line.
   */
  static fromJson(text: string, fileName: string, eos?: number, markers: Markers = 'added'): BpeTokenizer {
    const file = parseJson(text, fileName);
    if (!isObject(file)) throw new UserError(`${fileName}: expected a JSON object, got ${show(file)}`);
    const ids = idsOf(file, fileName);
    checkMerges(file, ids, fileName);
    checkByteLevel(file, ids, fileName);
    const end = eos ?? ids.get(END_OF_TEXT);
    if (end === undefined)
      throw new UserError(`${fileName}: has no ${END_OF_TEXT}: give eos_token_id in config.json`);
    if (![...ids.values()].includes(end))
      throw new UserError(`${fileName}: no token has the id ${end}, eos_token_id in config.json`);
    return new BpeTokenizer(text, file, ids, end, fileName, markers);
  }

  private constructor(
    text: string,
    file: JsonObject,
    ids: ReadonlyMap<string, number>,
    eos: number,
    fileName: string,
    markers: Markers,
  ) {
    let size = [...ids.values()].reduce((most, id) => Math.max(most, id), 0) + 1;
    const added = new Map<number, string>();
    const idOf = (content: string): number => {
      const known = ids.get(content);
      if (known !== undefined) return known;
      if (markers === 'as they are') return -1;
      added.set(size, content);
      return size++;
    };
    this.eos = eos;
    this.startLatent = idOf(MARKERS.startLatent);
    this.endLatent = idOf(MARKERS.endLatent);
    this.latent = idOf(MARKERS.latent);
    this.marker = idOf(ANSWER_MARKER);
    this.added = added;
    this.size = size;
    const whole = { ...file, added_tokens: [...addedTokens(file), ...[...added].map(entryOf)] };
    this.#json = added.size === 0 ? text : `${JSON.stringify(whole, null, 2)}\n`;
    // Texts are put together from parts, so what a post-processor would add to a whole one has no place.
    const needed = { normalizer: null, pre_tokenizer: null, decoder: null, ...whole, post_processor: null };
    try {
      this.#library = new Library(needed, {});
    } catch (error) {
      throw new UserError(`${fileName}: cannot be used: ${(error as Error).message}`);
    }
  }

  /** Pads are neither seen nor learnt, so any token serves; the reference takes this one. */
  get pad(): number {
    return this.eos;
  }

  get words(): readonly string[] {
    this.#words ??= Array.from({ length: this.size }, (_, id) =>
      this.#library.id_to_token(id) === undefined ? '' : this.decode([id]),
    );
    return this.#words;
  }

  encode(text: string): number[] {
    return this.#library.encode(text, { add_special_tokens: false }).ids;
  }

  /** As the reference writes rows: question and steps on lines of their own, `### answer`. */
  encodePart(part: Part, text: string): number[] {
    return this.encode(part === 'answer' ? ` ${text}` : `${text}\n`);
  }

  /** Bytes that are no UTF-8 text, as when a character's tokens are cut apart, become U+FFFD. */
  decode(ids: Iterable<number>): string {
    const list = [...ids];
    for (const id of list)
      if (this.#library.id_to_token(id) === undefined) throw new Error(`BpeTokenizer: no token has id ${id}`);
    if (list.length === 0) return '';
    return this.#library.decode(list, { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  }

  toJson(): string {
    return this.#json;
  }
}

/** Whether the text of a `tokenizer.json` is of this kind: a BPE, byte-level or not. */
export function isBpe(file: Json): boolean {
  return isObject(file) && isObject(file.model) && file.model.type === 'BPE';
}

function entryOf([id, content]: readonly [number, string]): JsonObject {
  const special = content !== ANSWER_MARKER;
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}

function addedTokens(file: JsonObject): readonly Json[] {
  return Array.isArray(file.added_tokens) ? file.added_tokens : [];
}

/** Ids of all tokens, the added ones included. */
function idsOf(file: JsonObject, fileName: string): Map<string, number> {
  const { model } = file;
  if (!isObject(model) || !isObject(model.vocab))
    throw new UserError(`${fileName}: "model.vocab" is missing or no object`);
  const ids = new Map<string, number>();
  const texts = new Map<number, string>();
  const put = (token: string, id: Json | undefined, where: string): void => {
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0 || id >= 2 ** 31)
      throw new UserError(`${fileName}: "${where}" gives ${show(token)} the id ${show(id)}`);
    const other = texts.get(id);
    if (other !== undefined && other !== token)
      throw new UserError(`${fileName}: ${show(other)} and ${show(token)} have the same id ${id}`);
    texts.set(id, token);
    ids.set(token, id);
  };
  for (const [token, id] of Object.entries(model.vocab)) put(token, id, 'model.vocab');
  for (const token of addedTokens(file)) {
    if (!isObject(token) || typeof token.content !== 'string' || token.content === '')
      throw new UserError(`${fileName}: "added_tokens" has ${show(token)}, expected id and content`);
    put(token.content, token.id, 'added_tokens');
  }
  if (ids.size === 0) throw new UserError(`${fileName}: "model.vocab" is empty`);
  return ids;
}

/** What a merge makes must be a token, or the library would drop it from every text without a word. */
function checkMerges({ model }: JsonObject, ids: ReadonlyMap<string, number>, fileName: string): void {
  const merges = isObject(model) ? model.merges : undefined;
  if (!Array.isArray(merges)) throw new UserError(`${fileName}: "model.merges" is missing or no list`);
  for (const [i, merge] of merges.entries()) {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    const good =
      Array.isArray(pair) && pair.length === 2 && pair.every(part => typeof part === 'string' && part !== '');
    if (!good || !ids.has(pair.join('')))
      throw new UserError(
        `${fileName}: "model.merges"[${i}] is ${show(merge)}, expected two tokens that make one`,
      );
  }
}

function checkByteLevel(file: JsonObject, ids: ReadonlyMap<string, number>, fileName: string): void {
  for (const [key, list] of [
    ['pre_tokenizer', 'pretokenizers'],
    ['decoder', 'decoders'],
  ] as const) {
    const part = file[key];
    const steps = isObject(part) && part.type === 'Sequence' ? part[list] : [part];
    if (!Array.isArray(steps) || !steps.some(step => isObject(step) && step.type === 'ByteLevel'))
      throw new UserError(`${fileName}: "${key}" is not "ByteLevel": only byte-level BPE can be read`);
  }
  const missing = byteSymbols().filter(symbol => !ids.has(symbol));
  if (missing.length > 0)
    throw new UserError(
      `${fileName}: "model.vocab" lacks tokens of ${missing.length} bytes: not a byte-level BPE that can write every text`,
    );
}

/**
 * The characters that stand for bytes in the vocabulary (GPT-2's encoder): a printable byte for itself, the others
 * for characters from U+0100 on. Bytes that no UTF-8 text has are left out.
 */
export function byteSymbols(): string[] {
  const printable = (byte: number): boolean =>
    (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const symbol = String.fromCharCode(printable(byte) ? byte : next++);
    return byte === 0xc0 || byte === 0xc1 || byte > 0xf4 ? '' : symbol;
  }).filter(symbol => symbol !== '');
}
