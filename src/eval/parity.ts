// Reads the batches of the parity check, and compares gradients with expected ones. Knows the JSON form (rows by batch,
// as PyTorch keeps them); knows no device.
import { type Batch, UNLABELLED } from '../data/batch.ts';
import { UserError } from '../errors.ts';
import { isObject, parseJson } from '../json.ts';
import { elements, type ModelConfig, parameterShapes } from '../model/config.ts';
import { checkBatch, type Window } from '../model/latent.ts';
import type { FileTensor, SafetensorsFile, StoredTensor } from '../model/safetensors.ts';

const KEYS = ['input_ids', 'labels', 'attention_mask', 'position_ids'] as const;

/**
 * A batch from `{input_ids, labels, attention_mask, position_ids}`, all [B][T]: labels unshifted, -100 = none, rows
 * padded left (and right, if need be) so that first latents share a column. Throws UserError naming `file`.
 */
export function parseBatch(text: string, file: string, latentId: number): Batch {
  const json = parseJson(text, file);
  if (!isObject(json)) throw new UserError(`${file}: expected an object with ${KEYS.join(', ')}`);
  const [ids, labels, mask, positions] = KEYS.map(key => matrix(json[key], `${file}: ${key}`));
  const B = ids!.length;
  const T = ids![0]!.length;
  for (const [i, rows] of [ids!, labels!, mask!, positions!].entries())
    if (rows.length !== B || rows.some(row => row.length !== T))
      throw new UserError(`${file}: ${KEYS[i]} is not ${B} rows of ${T} numbers like input_ids`);

  const firsts = mask!.map((row, b) => firstColumn(row, `${file}: attention_mask row ${b}`));
  const latentColumns = ids!.map((row, b) =>
    row.flatMap((id, t) => (id === latentId && mask![b]![t] === 1 ? [t] : [])),
  );
  const starts = latentColumns.flatMap(columns => columns.slice(0, 1));
  const latentStart = starts[0] ?? T;
  for (const [b, columns] of latentColumns.entries())
    if (columns.some((t, p) => t !== latentStart + p))
      throw new UserError(
        `${file}: row ${b} has latents at columns ${columns}, not side by side from column ${latentStart} on`,
      );
  for (const rows of [ids!, positions!])
    if (rows.flat().some(value => value < 0))
      throw new UserError(`${file}: ids and positions cannot be negative`);
  const wrongLabel = labels!.flat().find(label => label < 0 && label !== UNLABELLED);
  if (wrongLabel !== undefined)
    throw new UserError(
      `${file}: labels has ${wrongLabel}, expected token ids, or ${UNLABELLED} where there is none`,
    );

  const timeMajor = (rows: number[][]): number[] =>
    Array.from({ length: T * B }, (_, i) => rows[i % B]![Math.floor(i / B)]!);
  return {
    B,
    T,
    ids: Uint32Array.from(timeMajor(ids!)),
    positions: Uint32Array.from(timeMajor(positions!)),
    labels: Int32Array.from(timeMajor(labels!)),
    first: Uint32Array.from(firsts),
    latentStart,
    latents: Uint32Array.from(latentColumns, columns => columns.length),
  };
}

/** Refuses a batch that the model or the window does not fit, before a device is opened. Throws UserError naming `file`. */
export function checkFits(batch: Batch, config: ModelConfig, window: Window, file: string): void {
  const { vocabSize, positions } = config;
  const below = (values: ArrayLike<number>, limit: number, what: string): void => {
    for (let i = 0; i < values.length; i++)
      if (values[i]! >= limit) {
        const where = `row ${i % batch.B}, column ${Math.floor(i / batch.B)}`;
        throw new UserError(`${file}: ${what} has ${values[i]} (${where}), the model has only ${limit}`);
      }
  };
  below(batch.ids, vocabSize, 'input_ids');
  below(batch.labels, vocabSize, 'labels');
  below(batch.positions, positions, 'position_ids');
  // Nothing comes before the first column, so its labels count for nothing.
  if (batch.labels.subarray(batch.B).every(label => label === UNLABELLED))
    throw new UserError(`${file}: labels has none but ${UNLABELLED}, so there is no loss`);
  try {
    checkBatch(batch, window);
  } catch (error) {
    throw error instanceof UserError ? new UserError(`${file}: ${error.message}`) : error;
  }
}

/** The tensors `loss` and `grad.<parameter>`, of the model's shapes. Throws UserError naming `file` where one is missing. */
export function expectTensors(
  { tensors }: SafetensorsFile<FileTensor>,
  config: ModelConfig,
  file: string,
): ReadonlyMap<string, FileTensor> {
  const wanted = [
    ['loss', [1]] as const,
    ...parameterShapes(config).map(([name, shape]) => [`grad.${name}`, shape] as const),
  ];
  for (const [name, shape] of wanted) {
    const tensor = tensors.get(name);
    if (!tensor) throw new UserError(`${file}: has no tensor ${name}`);
    if (elements(tensor.shape) !== elements(shape))
      throw new UserError(`${file}: ${name} has shape [${tensor.shape}], expected [${shape}]`);
  }
  return tensors;
}

/**
 * The largest max |actual - expected| / max |expected| of a tensor, and the tensor's name; NaN counts as infinite.
 * Expected tensors are read one at a time.
 */
export async function worstError(
  actual: Iterable<readonly [string, StoredTensor]>,
  expected: ReadonlyMap<string, FileTensor>,
): Promise<{ readonly error: number; readonly name: string }> {
  let worst = { error: 0, name: 'none' };
  for (const [name, { data }] of actual) {
    const error = relativeError(data as Float32Array, (await expected.get(name)!.read()) as Float32Array);
    if (error > worst.error) worst = { error, name };
  }
  return worst;
}

/** max |a - b| / max |b|, by which device and reference are compared; infinite where either has NaN or infinity. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    // What is no finite number on either side would be lost in the quotient.
    if (!Number.isFinite(d)) return Infinity;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference === 0 ? 0 : difference / Math.max(largest, 1e-30);
}

function matrix(value: unknown, where: string): number[][] {
  const isRow = (row: unknown): row is number[] => Array.isArray(row) && row.every(x => Number.isInteger(x));
  if (!Array.isArray(value) || value.length === 0 || !value.every(isRow) || value[0].length === 0)
    throw new UserError(`${where} must be a list of rows of integers`);
  // Typed arrays would wrap larger ones into some other token.
  const large = value.flat().find(x => Math.abs(x) >= 2 ** 31);
  if (large !== undefined) throw new UserError(`${where} has ${large}, which is no token or position`);
  return value;
}

/** Number of zeros before the ones. Zeros after the ones are right padding, which no real column sees. */
function firstColumn(mask: number[], where: string): number {
  const match = /^(0,)*(1,)+(0,)*$/.exec(mask.map(bit => `${bit},`).join(''));
  if (!match) throw new UserError(`${where} must be zeros (pads), then ones, then zeros (pads)`);
  return mask.indexOf(1);
}
