// A model folder made ready: its tokenizer, and a pretrained model given the tokens that latent reasoning needs.
// Knows tokenizers and the names of weights; knows no device and no prompts.
import { BpeTokenizer, isBpe } from '../data/bpe-tokenizer.ts';
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

/**
 * The tokenizer of the folder `dir`, of words or byte-level BPE, and the model for it.
 *
 * A BPE model that was trained elsewhere lacks the latent markers. As in the reference (facebookresearch/coconut,
 * run.py) they get the ids after the last token's, the token embedding is cut or lengthened to the number of tokens,
 * and each new row is a copy of the embedding of `<<`; the head's rows likewise, where it has weights of its own.
 * Where `<<` is not one token in the vocabulary, a row is the mean over its tokens. All other rows stay bit for bit.
 *
 * Throws UserError where tokenizer.json cannot be read or is not the one of config.json.
 */
export function openModel({ config, weights, tokenizer: text }: ModelFiles, dir: string): OpenModel {
  const path = `${dir}/${MODEL_FILES.tokenizer}`;
  const tokenizer = isBpe(parseJson(text, path))
    ? BpeTokenizer.fromJson(text, path, config.eosTokenId)
    : WordTokenizer.fromJson(text, path);
  const added = tokenizer instanceof BpeTokenizer ? tokenizer.added.size : 0;
  const known = tokenizer.size - added;
  // Pretrained models may have more rows than tokens, rounded up for speed; never fewer.
  const rounded = tokenizer instanceof BpeTokenizer && config.vocabSize > known;
  if (known !== config.vocabSize && !rounded)
    throw new UserError(
      `${path} has ${known} ${tokenizer instanceof BpeTokenizer ? 'tokens' : 'words'}, but vocab_size in config.json is ${config.vocabSize}`,
    );
  if (tokenizer instanceof WordTokenizer) return { config, weights, tokenizer };
  return {
    config: {
      ...config,
      vocabSize: tokenizer.size,
      eosTokenId: tokenizer.eos,
      padTokenId: tokenizer.pad,
      latentTokenId: tokenizer.latent,
      startLatentId: tokenizer.startLatent,
      endLatentId: tokenizer.endLatent,
    },
    weights: config.vocabSize === tokenizer.size ? weights : resized(config, weights, tokenizer, known),
    tokenizer,
  };
}

/** The weights with a row a token: the first `known` as they are, those after from the tokens of `<<`. */
function resized(
  { width: C }: ModelConfig,
  weights: ParameterValues,
  tokenizer: Tokenizer,
  known: number,
): ParameterValues {
  const sources = tokenizer.encode(STARTS_AS);
  const lengthened = (rows: Float32Array): Float32Array => {
    const out = new Float32Array(tokenizer.size * C);
    out.set(rows.subarray(0, known * C));
    for (let id = known; id < tokenizer.size; id++)
      for (let c = 0; c < C; c++)
        out[id * C + c] = sources.reduce((sum, from) => sum + rows[from * C + c]!, 0) / sources.length;
    return out;
  };
  const byToken = new Set(['transformer.wte.weight', HEAD]);
  return new Map([...weights].map(([name, rows]) => [name, byToken.has(name) ? lengthened(rows) : rows]));
}
