// A model folder: config.json, model.safetensors, tokenizer.json in Hugging Face form. Knows names and formats; where
// the files lie is given, and what a tokenizer's text says is not read.

import { tokenizerJson } from '../data/bpe-files.ts';
import { UserError } from '../errors.ts';
import type { Content, Files } from '../files.ts';
import { elements, formatConfig, type ModelConfig, parameterShapes, parseConfig } from './config.ts';
import { type StoredTensor, safetensorsParts } from './safetensors.ts';
import { openWeights, WEIGHTS, type WeightsSource } from './shards.ts';
import { weightsFor } from './weights.ts';

/** Arrays by full parameter name, row-major, of the shapes parameterShapes gives. */
export type ParameterValues = ReadonlyMap<string, Float32Array>;

export interface ModelFiles {
  readonly config: ModelConfig;
  readonly weights: ParameterValues;
  /** The text of tokenizer.json. */
  readonly tokenizer: string;
}

/** The names of a model folder's files. */
export const MODEL_FILES = {
  config: 'config.json',
  weights: WEIGHTS,
  tokenizer: 'tokenizer.json',
} as const;

/** What reading a model asks of a place. Faults are UserErrors that name the path. */
export type ModelSource = WeightsSource;

/**
 * Reads the model in `dir`, ours or as `save_pretrained` writes it: one file of weights or shards, of F32, F16, BF16
 * or F64, which become float32. Nothing is ever fetched from elsewhere. Every fault is a UserError naming the file.
 */
export async function readModel(source: ModelSource, dir: string): Promise<ModelFiles> {
  const { config, tokenizer } = await readDescription(source, dir);
  return { config, tokenizer, weights: await readWeights(source, dir, config) };
}

/** The same without the weights. */
export async function readDescription(
  source: ModelSource,
  dir: string,
): Promise<Omit<ModelFiles, 'weights'>> {
  const path = `${dir}/${MODEL_FILES.config}`;
  await requireFile(source, path, 'the config of a GPT-2');
  const config = parseConfig(await source.readText(path), path);
  return { config, tokenizer: await readTokenizer(source, dir) };
}

/** The text of tokenizer.json, or what GPT-2's older two files say. */
async function readTokenizer(source: ModelSource, dir: string): Promise<string> {
  const path = `${dir}/${MODEL_FILES.tokenizer}`;
  const older = [`${dir}/vocab.json`, `${dir}/merges.txt`] as const;
  const whole = await source.exists(path);
  if (!whole && (await source.exists(older[0])) && (await source.exists(older[1]))) {
    const [vocab, merges] = await Promise.all(
      older.map(async file => ({ path: file, text: await source.readText(file) })),
    );
    return tokenizerJson(vocab!, merges!);
  }
  await requireFile(source, path, "the model's tokenizer (or vocab.json and merges.txt beside it)");
  return source.readText(path);
}

async function requireFile(source: ModelSource, path: string, what: string): Promise<void> {
  if (!(await source.exists(path))) throw new UserError(`${path}: no such file: put ${what} there`);
}

/** The weights of a model folder alone: for those who need no tokenizer. */
export async function readWeights(
  source: WeightsSource,
  dir: string,
  config: ModelConfig,
): Promise<Map<string, Float32Array>> {
  const { tensors, path } = await openWeights(source, dir);
  return weightsFor(config, tensors, path);
}

/** Writes `dir` whole or not at all, weights as F32 in one file whatever they were read from: a folder that `GPT2LMHeadModel.from_pretrained` opens. */
export async function writeModel(files: Files, dir: string, model: ModelFiles): Promise<void> {
  await files.writeFolderAtomic(dir, modelContents(model));
}

/** The files of a model folder by name. */
export function modelContents({ config, weights, tokenizer }: ModelFiles): Record<string, Content> {
  return {
    [MODEL_FILES.config]: formatConfig(config),
    // transformers refuses a file without this note on its origin.
    [MODEL_FILES.weights]: safetensorsParts(storedTensors(config, weights), { format: 'pt' }),
    [MODEL_FILES.tokenizer]: tokenizer,
  };
}

/** Parameter values in the model's own order, under their names with `prefix` before them. */
export function storedTensors(
  config: ModelConfig,
  values: ParameterValues,
  prefix = '',
): [string, StoredTensor][] {
  return parameterShapes(config).map(([name, shape]) => {
    const data = values.get(name);
    if (data?.length !== elements(shape))
      throw new Error(`model folder: ${prefix}${name} is missing or of another size`);
    return [prefix + name, { shape, data }];
  });
}
