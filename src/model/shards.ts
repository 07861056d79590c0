// The tensors of a model folder, wherever in it they lie: in model.safetensors, or in shards that
// model.safetensors.index.json names. Knows the files' names and the index; knows no parameter of a model.
import { UserError } from '../errors.ts';
import type { Files } from '../files.ts';
import { isObject, parseJson, show } from '../json.ts';
import { type FileTensor, openSafetensors } from './safetensors.ts';

export const WEIGHTS = 'model.safetensors';
const INDEX = `${WEIGHTS}.index.json`;
/** PyTorch's own form, which runs code to be read. */
const PICKLED = ['pytorch_model.bin', 'pytorch_model.bin.index.json'];

export type WeightsSource = Pick<Files, 'exists' | 'open' | 'readText'>;

export interface FolderTensors {
  readonly tensors: ReadonlyMap<string, FileTensor>;
  /** The file that says which tensors there are, for messages. */
  readonly path: string;
}

/**
 * Opens the weights in `dir`, headers alone: tensors are read when they are asked for. Where both forms are there,
 * the single file counts, as for `from_pretrained`. Faults are UserErrors of one line.
 */
export async function openWeights(source: WeightsSource, dir: string): Promise<FolderTensors> {
  const path = `${dir}/${WEIGHTS}`;
  const index = `${dir}/${INDEX}`;
  if (!(await source.exists(path))) {
    if (await source.exists(index)) return { tensors: await openShards(source, dir, index), path: index };
    for (const name of PICKLED)
      if (await source.exists(`${dir}/${name}`))
        throw new UserError(
          `${path}: no such file, and ${name} cannot be read: write the model again with save_pretrained(…, safe_serialization=True)`,
        );
    throw new UserError(`${path}: no such file: put the model's weights there, or ${INDEX} and its shards`);
  }
  return { tensors: (await openSafetensors(await source.open(path), path)).tensors, path };
}

async function openShards(
  source: WeightsSource,
  dir: string,
  index: string,
): Promise<Map<string, FileTensor>> {
  const { shardOf, totalSize } = parseIndex(await source.readText(index), index);
  const shards = new Map<string, ReadonlyMap<string, FileTensor>>();
  for (const shard of new Set(shardOf.values())) {
    const path = `${dir}/${shard}`;
    if (!(await source.exists(path))) throw new UserError(`${path}: no such file, but ${INDEX} names it`);
    const { tensors } = await openSafetensors(await source.open(path), path);
    for (const name of tensors.keys())
      if (shardOf.get(name) !== shard)
        throw new UserError(`${path}: holds ${show(name, 80)}, which ${INDEX} does not say`);
    shards.set(shard, tensors);
  }
  const all = new Map<string, FileTensor>();
  for (const [name, shard] of shardOf) {
    const tensor = shards.get(shard)!.get(name);
    if (!tensor) throw new UserError(`${dir}/${shard}: lacks ${show(name, 80)}, which ${INDEX} says it has`);
    all.set(name, tensor);
  }
  // More than it says is no fault: some writers count a tensor of two names once.
  const bytes = [...all.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  if (totalSize !== undefined && bytes < totalSize)
    throw new UserError(
      `${index}: says ${totalSize} bytes of tensors, the shards hold ${bytes}: they are not of one model`,
    );
  return all;
}

function parseIndex(
  text: string,
  path: string,
): { shardOf: Map<string, string>; totalSize: number | undefined } {
  const json = parseJson(text, path);
  const map = isObject(json) ? json.weight_map : undefined;
  if (!isObject(json) || !isObject(map))
    throw new UserError(`${path}: expected a JSON object with a "weight_map" of tensors to files`);
  const shardOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !/^[^/\\]+\.safetensors$/.test(shard))
      throw new UserError(
        `${path}: "weight_map" puts ${show(name, 80)} into ${show(shard)}, expected a .safetensors file of the folder`,
      );
    shardOf.set(name, shard);
  }
  const total = isObject(json.metadata) ? json.metadata.total_size : undefined;
  return { shardOf, totalSize: typeof total === 'number' ? total : undefined };
}
