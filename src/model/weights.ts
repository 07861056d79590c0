// From the tensors of a folder to a model's parameters. Knows the names that exports of GPT-2 use; knows no bytes
// and no device.
import { UserError } from '../errors.ts';
import { show } from '../json.ts';
import { HEAD, type ModelConfig, parameterShapes } from './config.ts';
import type { FileTensor } from './safetensors.ts';

/** The causal mask that old exports keep beside the weights: a constant, not a parameter. */
const MASK = /^transformer\.h\.\d+\.attn\.(bias|masked_bias)$/;
const PREFIX = 'transformer.';

/**
 * Every parameter of `config` by its full name, in the order of parameterShapes, as float32. They are read one after
 * the other, so that beside the arrays returned no more than one tensor's bytes are in memory. Takes names with or
 * without `transformer.`; skips saved masks and a copy of a tied head. Missing, unexpected and misshapen tensors are
 * a UserError naming them, and `path` where there is no other.
 */
export async function weightsFor(
  config: ModelConfig,
  tensors: ReadonlyMap<string, FileTensor>,
  path: string,
): Promise<Map<string, Float32Array>> {
  const given = new Map<string, FileTensor>();
  for (const [name, tensor] of tensors) {
    const full = name === HEAD || name.startsWith(PREFIX) ? name : PREFIX + name;
    if (given.has(full))
      throw new UserError(`${path}: holds ${show(full, 80)} twice, with and without ${PREFIX}`);
    if (!MASK.test(full)) given.set(full, tensor);
  }
  const shapes = parameterShapes(config);
  const missing = shapes.map(([name]) => name).filter(name => !given.has(name));
  if (missing.length > 0) throw new UserError(`${path}: lacks ${some(missing)}`);
  const expected = new Set([HEAD, ...shapes.map(([name]) => name)]);
  const unexpected = [...given.keys()].filter(name => !expected.has(name));
  if (unexpected.length > 0) {
    throw new UserError(`${path}: has ${some(unexpected)}, not a parameter of the model in config.json`);
  }
  for (const [name, shape] of shapes) checkShape(given.get(name)!, name, shape);
  const weights = new Map<string, Float32Array>();
  for (const [name] of shapes) weights.set(name, await floats(given.get(name)!, name));
  const head = given.get(HEAD);
  if (head !== undefined && !config.ownHead) {
    checkShape(head, HEAD, shapes[0]![1]);
    checkCopy(await floats(head, HEAD), weights.get(shapes[0]![0])!, head.file);
  }
  return weights;
}

function checkShape(tensor: FileTensor, name: string, shape: readonly number[]): void {
  if (tensor.shape.join() !== shape.join()) {
    throw new UserError(
      `${tensor.file}: ${name} has shape [${tensor.shape.join(', ')}], config.json says [${shape.join(', ')}]`,
    );
  }
}

async function floats(tensor: FileTensor, name: string): Promise<Float32Array> {
  const data = await tensor.read();
  if (data instanceof Float32Array) return data;
  throw new UserError(`${tensor.file}: ${name} holds integers, expected F32, F16, BF16 or F64`);
}

/** A head of its own would be dropped silently and the model would say something else. */
function checkCopy(head: Float32Array, wte: Float32Array, file: string): void {
  if (head.some((value, i) => value !== wte[i] && !(Number.isNaN(value) && Number.isNaN(wte[i])))) {
    throw new UserError(
      `${file}: ${HEAD} differs from transformer.wte.weight: config.json must say "tie_word_embeddings": false`,
    );
  }
}

function some(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return (
    names
      .slice(0, 3)
      .map(name => show(name, 80).slice(1, -1))
      .join(', ') + more
  );
}
