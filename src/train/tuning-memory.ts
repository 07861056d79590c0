// The tuner's choices as they are kept: in a checkpoint, and between runs as a JSON text for each adapter, which holds
// for the shaders that it was measured with. Knows the forms; knows no device, and not where the text is kept.
import { UserError } from '../errors.ts';
import { isObject, type Json, parseJson, show } from '../json.ts';
import { isMatmulVariant } from '../ops/product.ts';

/** Variants by `choiceKey`. */
export type ChoiceTable = Readonly<Record<string, string>>;

/** The choices of a run, and the adapter that they were made on: what a checkpoint keeps. */
export interface Tuned {
  readonly adapter: string;
  readonly choices: ChoiceTable;
}

/** What a quick tuning leaves unmeasured, a full one may still want to know, so each has choices of its own. */
export interface Memory {
  readonly quick: ChoiceTable;
  readonly full: ChoiceTable;
}

/** What the choices were measured on: the adapter's name, and a digest of the texts that its kernels are made from. */
export interface Origin {
  readonly adapter: string;
  readonly kernels: string;
}

export const FORGOTTEN: Memory = { quick: {}, full: {} };
const FORMAT = 1;

export function formatMemory({ quick, full }: Memory, origin: Origin): string {
  return `${JSON.stringify({ format: FORMAT, ...origin, quick, full }, null, 2)}\n`;
}

/** Reads what formatMemory wrote. Throws UserError that names `path` and says why it is of no use here. */
export function parseMemory(text: string, origin: Origin, path: string): Memory {
  const refuse = (why: string): UserError => new UserError(`${path}: ${why}`);
  const json = parseJson(text, path);
  if (!isObject(json)) throw refuse(`expected a JSON object, got ${show(json)}`);
  if (json.format !== FORMAT) throw refuse(`format ${show(json.format)}, this version reads ${FORMAT}`);
  if (json.adapter !== origin.adapter) throw refuse(`measured on another adapter, ${show(json.adapter)}`);
  if (json.kernels !== origin.kernels) throw refuse('measured with other kernels than there are now');
  const { quick, full } = json;
  if (!isChoiceTable(quick) || !isChoiceTable(full)) throw refuse('names variants that do not exist');
  return { quick, full };
}

/** The earlier choices with later ones in their place. */
export function merge(before: Memory, after: Memory): Memory {
  return { quick: { ...before.quick, ...after.quick }, full: { ...before.full, ...after.full } };
}

export function isChoiceTable(value: Json | undefined): value is ChoiceTable {
  return (
    isObject(value) &&
    Object.entries(value).every(
      ([key, variant]) =>
        key.startsWith('matmul ') && typeof variant === 'string' && isMatmulVariant(variant),
    )
  );
}

/** An adapter's name as a file name. */
export function memoryName(adapter: string): string {
  const words = adapter.toLowerCase().match(/[a-z0-9]+/g) ?? ['unknown'];
  return `tuning-${words.join('-').slice(0, 100)}.json`;
}
