// Reads the batches of the parity check. Knows the JSON form (rows by batch, as PyTorch keeps them); knows no device.
import type { Batch } from '../data/batch.ts';
import { UserError } from '../errors.ts';
import { isObject, parseJson } from '../json.ts';

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

function matrix(value: unknown, where: string): number[][] {
  const isRow = (row: unknown): row is number[] => Array.isArray(row) && row.every(x => Number.isInteger(x));
  if (!Array.isArray(value) || value.length === 0 || !value.every(isRow) || value[0].length === 0)
    throw new UserError(`${where} must be a list of rows of integers`);
  return value;
}

/** Number of zeros before the ones. Zeros after the ones are right padding, which no real column sees. */
function firstColumn(mask: number[], where: string): number {
  const text = mask.join('');
  const match = /^(0*)1+0*$/.exec(text);
  if (!match) throw new UserError(`${where} must be zeros (pads), then ones, then zeros (pads)`);
  return match[1]!.length;
}
