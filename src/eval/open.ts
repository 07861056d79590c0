// A model folder made ready: its tokenizer, and a pretrained model given the tokens that latent reasoning needs.
// Knows tokenizers and the names of weights; knows no device and no prompts.
import { BpeTokenizer, isBpe, type Markers } from '../data/bpe-tokenizer.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { WordTokenizer } from '../data/word-tokenizer.ts';
import { UserError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { HEAD, type ModelConfig } from '../model/config.ts';
import { MODEL_FILES, type ModelFiles, type ParameterValues } from '../model/folder.ts';

/** A model that can be asked and trained: every token of its tokenizer has an embedding, the latent markers too. */
export interface OpenModel {
  readonly config: ModelConfig;
  readonly weights: ParameterValues;
  readonly tokenizer: Tokenizer;
}

/** New tokens start as this one, in the reference: what opens a calculation in GSM8k's steps. */
const STARTS_AS = '<<';

/** A tokenizer of words or byte-level BPE from the text of its file. `eos` is what config.json says of a BPE's. */
export function openTokenizer(
  text: string,
  path: string,
  eos: number | undefined,
  markers: Markers = 'added',
): BpeTokenizer | WordTokenizer {
  return isBpe(parseJson(text, path))
    ? BpeTokenizer.fromJson(text, path, eos, markers)
    : WordTokenizer.fromJson(text, path);
}

/**
 * The tokenizer of the folder `dir`, of words or byte-level BPE, and the model for it.
 *
 * A BPE model that was trained elsewhere lacks the latent markers. As in the reference (facebookresearch/coconut,
 * run.py) they get the ids after the last token's, the token embedding is cut or lengthened to the number of tokens,
 * and each new row is a copy of the embedding of `<<`; the head's rows likewise, where it has weights of its own.
 * Where `<<` is not one token in the vocabulary, a row is the mean over its tokens. All other rows stay bit for bit.
 * A model that only goes on with texts needs none: with markers `as they are` it gets no token that it lacks.
 *
 * Throws UserError where tokenizer.json cannot be read or is not the one of config.json.
 */
export function openModel(
  { config, weights, tokenizer: text }: ModelFiles,
  dir: string,
  markers: Markers = 'added',
): OpenModel {
  const path = `${dir}/${MODEL_FILES.tokenizer}`;
  const tokenizer = openTokenizer(text, path, config.eosTokenId, markers);
  const added = tokenizer instanceof BpeTokenizer ? tokenizer.added.size : 0;
  const known = tokenizer.size - added;
  // Pretrained models may have more rows than tokens, rounded up for speed; never fewer.
  const rounded = tokenizer instanceof BpeTokenizer && config.vocabSize > known;
  if (known !== config.vocabSize && !rounded)
    throw new UserError(
      `${path} has ${known} ${tokenizer instanceof BpeTokenizer ? 'tokens' : 'words'}, but vocab_size in config.json is ${config.vocabSize}`,
    );
  if (tokenizer instanceof WordTokenizer) return { config, weights, tokenizer };
  const id = (marker: number): number | undefined => (marker < 0 ? undefined : marker);
  return {
    config: {
      ...config,
      vocabSize: tokenizer.size,
      eosTokenId: tokenizer.eos,
      padTokenId: tokenizer.pad,
      latentTokenId: id(tokenizer.latent),
      startLatentId: id(tokenizer.startLatent),
      endLatentId: id(tokenizer.endLatent),
    },
    weights: config.vocabSize === tokenizer.size ? weights : resized(config, weights, tokenizer, known),
    tokenizer,
  };
}

/** The weights with a row a token: the first `known` as they are, those after as copies. */
function resized(
  { width: C }: ModelConfig,
  weights: ParameterValues,
  tokenizer: BpeTokenizer,
  known: number,
): ParameterValues {
  const added = Array.from({ length: tokenizer.size - known }, (_, i) => known + i);
  return perToken(weights, rows => {
    const out = new Float32Array(tokenizer.size * C);
    out.set(rows.subarray(0, known * C));
    return copied(out, C, tokenizer.encode(STARTS_AS), added);
  });
}

/**
 * The model with the embeddings of `ids` made copies of `<<`, as those of new tokens are. A vocabulary of words has its
 * markers from the first and no `<<`: there they stay as they are.
 */
export function withCopies(model: OpenModel, ids: readonly number[]): OpenModel {
  const { config, tokenizer, weights } = model;
  if (ids.length === 0 || tokenizer instanceof WordTokenizer) return model;
  const sources = tokenizer.encode(STARTS_AS);
  const changed = (rows: Float32Array) => copied(rows.slice(), config.width, sources, ids);
  return { ...model, weights: perToken(weights, changed) };
}

/** Overwrites the rows `ids` of an embedding by the mean of the rows `sources`. */
function copied(
  rows: Float32Array,
  C: number,
  sources: readonly number[],
  ids: readonly number[],
): Float32Array {
  for (const id of ids)
    for (let c = 0; c < C; c++)
      rows[id * C + c] = sources.reduce((sum, from) => sum + rows[from * C + c]!, 0) / sources.length;
  return rows;
}

/** The weights with those that have a row a token changed. */
function perToken(weights: ParameterValues, change: (rows: Float32Array) => Float32Array): ParameterValues {
  const byToken = new Set(['transformer.wte.weight', HEAD]);
  return new Map([...weights].map(([name, rows]) => [name, byToken.has(name) ? change(rows) : rows]));
}
