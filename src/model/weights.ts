// From the tensors of a file to a model's parameters. Knows the names that exports of GPT-2 use; knows no bytes
// and no device.
import { UserError } from '../errors.ts';
import { show } from '../json.ts';
import { type ModelConfig, parameterShapes } from './config.ts';
import type { StoredTensor } from './safetensors.ts';

/** The causal mask that old exports keep beside the weights: a constant, not a parameter. */
const MASK = /^transformer\.h\.\d+\.attn\.(bias|masked_bias)$/;
const HEAD = 'lm_head.weight';
const PREFIX = 'transformer.';

/**
 * Every parameter of `config` by its full name, in the order of parameterShapes, as float32 (the file's own
 * arrays). Takes names with or without `transformer.`; skips saved masks and a copy of the tied head.
 * Missing, unexpected and misshapen tensors are a UserError naming them.
 */
export function weightsFor(
  config: ModelConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
  fileName: string,
): Map<string, Float32Array> {
  const given = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    const full = name === HEAD || name.startsWith(PREFIX) ? name : PREFIX + name;
    if (given.has(full))
      throw new UserError(`${fileName}: holds ${show(full, 80)} twice, with and without ${PREFIX}`);
    if (!MASK.test(full)) given.set(full, tensor);
  }
  const shapes = parameterShapes(config);
  const missing = shapes.map(([name]) => name).filter(name => !given.has(name));
  if (missing.length > 0) throw new UserError(`${fileName}: lacks ${some(missing)}`);
  const expected = new Set([HEAD, ...shapes.map(([name]) => name)]);
  const unexpected = [...given.keys()].filter(name => !expected.has(name));
  if (unexpected.length > 0) {
    throw new UserError(`${fileName}: has ${some(unexpected)}, not a parameter of the model in config.json`);
  }
  const weights = new Map<string, Float32Array>();
  for (const [name, shape] of shapes) weights.set(name, floats(given.get(name)!, name, shape, fileName));
  const head = given.get(HEAD);
  if (head !== undefined) checkHead(head, weights.get(shapes[0][0])!, shapes[0][1], fileName);
  return weights;
}

function floats(
  tensor: StoredTensor,
  name: string,
  shape: readonly number[],
  fileName: string,
): Float32Array {
  if (tensor.shape.join() !== shape.join()) {
    throw new UserError(
      `${fileName}: ${name} has shape [${tensor.shape.join(', ')}], config.json says [${shape.join(', ')}]`,
    );
  }
  if (!(tensor.data instanceof Float32Array)) {
    throw new UserError(`${fileName}: ${name} holds integers, expected F32, F16, BF16 or F64`);
  }
  return tensor.data;
}

/** An untied head would be dropped silently and the model would say something else. */
function checkHead(head: StoredTensor, wte: Float32Array, shape: readonly number[], fileName: string): void {
  const data = floats(head, HEAD, shape, fileName);
  if (data.some((value, i) => value !== wte[i] && !(Number.isNaN(value) && Number.isNaN(wte[i])))) {
    throw new UserError(
      `${fileName}: ${HEAD} differs from transformer.wte.weight, only tied heads are supported`,
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
