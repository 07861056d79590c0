// What all tokenizers have in common: text to token ids and back, and the tokens that rows are built with. Knows no
// particular tokenizer (word-tokenizer.ts, bpe-tokenizer.ts), no task and no curriculum.

/** The parts of a row that are text. */
export type Part = 'question' | 'step' | 'answer';

/** Markers of latent thoughts, in a vocabulary of any kind; they enclose, and stand for, the thoughts. */
export const MARKERS = {
  startLatent: '<|start-latent|>',
  endLatent: '<|end-latent|>',
  latent: '<|latent|>',
} as const;

/** Stands before the answer. It is text that the model writes, so it is no "special" token that decoders may skip. */
export const ANSWER_MARKER = '###';

export interface Tokenizer {
  /** V: every id is below it. */
  readonly size: number;
  /** The text of each token, by id. */
  readonly words: readonly string[];
  readonly pad: number;
  readonly eos: number;
  /** The markers; -1 in a vocabulary without them, which serves no rows but those of a text. */
  readonly startLatent: number;
  readonly endLatent: number;
  readonly latent: number;
  /** `###`, before the answer. */
  readonly marker: number;
  /** Stands for words that have no token; -1 where every text has tokens. */
  readonly unknown: number;

  encode(text: string): number[];
  /** The tokens of a part of a row, with what separates it from its neighbours where that is text. */
  encodePart(part: Part, text: string): number[];
  /** Special tokens are written out like others. Throws Error on an id that no token has. */
  decode(ids: Iterable<number>): string;
  /** The text of a Hugging Face `tokenizer.json`. */
  toJson(): string;
}
