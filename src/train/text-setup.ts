// What a run on a text starts from: its windows, tokenizer, model config and first weights. Knows options, data and
// formats; knows no device.

import type { Row } from '../data/batch.ts';
import { byteLevelJson } from '../data/bpe-files.ts';
import { BpeTokenizer } from '../data/bpe-tokenizer.ts';
import { shuffledOrder } from '../data/source.ts';
import { type Windows, windowAt, windowCount } from '../data/text.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { UserError } from '../errors.ts';
import { type OpenModel, openModel, openTokenizer } from '../eval/open.ts';
import type { HeldOut } from '../eval/text.ts';
import type { Files } from '../files.ts';
import type { ModelConfig } from '../model/config.ts';
import { type ParameterValues, readModel, readTokenizer } from '../model/folder.ts';
import { armFolder } from './arms.ts';
import { freshModel } from './fresh-model.ts';
import type { TrainOptions } from './option-table.ts';
import { type Start, sameSaid } from './setup.ts';

/** Tokens of a row where nothing says how many. */
const COLUMNS = 128;

export interface TextSetup {
  readonly text: TextParts;
  /** Without latent markers, unless the model that the run starts from has them. */
  readonly tokenizer: Tokenizer;
  readonly config: ModelConfig;
  readonly weights: ParameterValues;
  /** As a SampleSetup's. */
  readonly notes: readonly string[];
}

export interface TextParts {
  /** Row `index` of training: each epoch has every window once, in an order of its own. */
  readonly train: (index: number) => Row;
  /** Never trained on, for validation while training and for the final evaluation. */
  readonly valid: HeldOut;
  readonly test: HeldOut;
}

export async function prepareText(options: TrainOptions, files: Files, from?: Start): Promise<TextSetup> {
  const model = from ? resumed(from, options) : await started(options, files);
  const { tokenizer, config } = model;
  const { data, valid, rowTokens } = options;
  const columns = rowTokens === 'auto' ? config.positions : rowTokens;
  const windows = (path: string) => windowsOf(path, columns, tokenizer, config, files);
  const held = valid === null ? undefined : await windows(valid);
  const rows = held && windowCount(held);
  const notes = rows && rows <= options.validSamples ? [sameSaid(valid!, `${rows} rows`)] : [];
  return { ...model, text: partsOf(await windows(data!), held, tokenizer, options), notes };
}

/** The text of a file in rows of so many tokens. Throws UserError where the model cannot read it, or so long a row. */
export async function windowsOf(
  path: string,
  columns: number,
  tokenizer: Tokenizer,
  { positions }: ModelConfig,
  files: Pick<Files, 'readText'>,
): Promise<Windows> {
  if (columns > positions)
    throw new UserError(`--row-tokens ${columns}: the model has only ${positions} positions`);
  const tokens = tokenizer.encode(await files.readText(path));
  if (tokenizer.unknown >= 0 && tokens.includes(tokenizer.unknown))
    throw new UserError(`${path}: has words that the model's tokenizer does not know`);
  return { tokens, columns };
}

function partsOf(
  all: Windows,
  other: Windows | undefined,
  tokenizer: Tokenizer,
  { data, valid: validPath, validSamples, evalSamples, seed }: TrainOptions,
): TextParts {
  const count = windowCount(all);
  const few = (path: string | null, made: number): UserError =>
    new UserError(
      `${path}: ${all.tokens.length} tokens make ${made} rows of ${all.columns}, too few to learn from and to hold some out: give a longer text, or fewer --row-tokens`,
    );
  const order = (rows: number) => shuffledOrder(rows, seed);
  const part = (windows: Windows, from: number, to: number) => heldOut(windows, from, to, tokenizer);
  if (other) {
    const held = windowCount(other);
    if (count < 1) throw few(data, count);
    if (held < 1) throw new UserError(`${validPath}: has no two tokens to predict one from the other`);
    const valid = Math.min(validSamples, held);
    // The part that validation did not see, where there is one.
    const start = held > valid ? valid : 0;
    const at = order(count);
    return {
      train: index => windowAt(all, at(index)),
      valid: part(other, 0, valid),
      test: part(other, start, Math.min(start + evalSamples, held)),
    };
  }
  // The end of the text, in one piece: windows drawn from all of it would lie between windows that are learnt.
  const held = Math.min(validSamples + evalSamples, Math.floor(count / 5));
  if (held < 2) throw few(data, count);
  const valid = Math.max(1, Math.round((held * validSamples) / (validSamples + evalSamples)));
  const middle = count - held + Math.min(valid, held - 1);
  const at = order(count - held);
  return {
    train: index => windowAt(all, at(index)),
    valid: part(all, count - held, middle),
    test: part(all, middle, count),
  };
}

/** The windows [from, to), and how long their tokens are as text. */
export function heldOut(windows: Windows, from: number, to: number, tokenizer: Tokenizer): HeldOut {
  const rows = Array.from({ length: to - from }, (_, i) => windowAt(windows, from + i));
  const tokens = rows.flatMap(row => row.tokens.slice(1));
  const bytes = new TextEncoder().encode(tokenizer.decode(tokens)).length;
  return { rows, bytesPerToken: bytes / tokens.length };
}

function resumed(from: Start, options: TrainOptions): OpenModel {
  const { arm, step } = from.trainer;
  return openModel(from, `${armFolder(options.out, arm, options)}/checkpoints/${step}`, 'as they are');
}

async function started(options: TrainOptions, files: Files): Promise<OpenModel> {
  const { init, positions, rowTokens } = options;
  if (init !== null) {
    const { config, ...model } = openModel(await readModel(files, init), init, 'as they are');
    return { ...model, config: { ...config, recurrence: undefined } };
  }
  const tokenizer = await tokenizerOf(options, files);
  const columns = positions === 'auto' ? (rowTokens === 'auto' ? COLUMNS : rowTokens) : positions;
  return freshModel(tokenizer, columns, undefined, options);
}

/** The one of --tokenizer, else one whose tokens are bytes: every text has tokens in it, and it is no file to look for. */
async function tokenizerOf({ tokenizer: path }: TrainOptions, files: Files): Promise<Tokenizer> {
  if (path === null) return BpeTokenizer.fromJson(byteLevelJson(), 'bytes', undefined, 'as they are');
  return openTokenizer(await readTokenizer(files, path), path, undefined, 'as they are');
}
