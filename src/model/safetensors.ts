// The safetensors format: bytes to named arrays and back. Knows the format's rules; knows no model, no device and
// not where the bytes lie. https://huggingface.co/docs/safetensors — a u64 header length, a JSON header, then the
// tensors' bytes, little-endian, without holes.
import { UserError } from '../errors.ts';
import type { OpenFile } from '../files.ts';
import { isObject, type JsonObject, parseJson, show } from '../json.ts';
import { elements } from './config.ts';
import { DTYPES, type Dtype, dtypeOf, type TensorData } from './dtypes.ts';

/** `data` is row-major. F16, BF16 and F64 are read into float32; 8-bit floats stay bytes. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** A tensor whose bytes are still in its file. */
export interface FileTensor {
  readonly shape: readonly number[];
  /** The file's path, for messages. */
  readonly file: string;
  /** Bytes in the file. */
  readonly bytes: number;
  /** Reads this tensor alone; `data` as in StoredTensor. */
  read(): Promise<TensorData>;
}

export interface SafetensorsFile<T> {
  /** In the order of their bytes. */
  readonly tensors: Map<string, T>;
  readonly metadata: Readonly<Record<string, string>>;
}

const MOST_HEADER = 100_000_000n;

/**
 * The bytes of a safetensors file: tensors in the given order, header padded so that data starts on a multiple
 * of 8. In parts, since a model's weights should not be copied to be written: the header, then views of the data.
 * Throws an Error (ours to mend) where a shape does not fit its data or a name comes twice.
 */
export function safetensorsParts(
  tensors: Iterable<readonly [string, StoredTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const list = [...tensors];
  const entries: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) entries.push(['__metadata__', metadata]);
  let end = 0;
  for (const [name, { shape, data }] of list) {
    if (name === '__metadata__') throw new Error('safetensors: a tensor cannot be called __metadata__');
    if (elements(shape) !== data.length) {
      throw new Error(`safetensors: ${name} has shape [${shape}] and ${data.length} elements`);
    }
    const begin = end;
    end += data.byteLength;
    entries.push([name, { dtype: dtypeOf(data), shape, data_offsets: [begin, end] }]);
  }
  const header = Object.fromEntries(entries);
  if (Object.keys(header).length !== entries.length)
    throw new Error('safetensors: two tensors have the same name');
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20, 8);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  return [head, ...list.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}

/** The same, joined. */
export function encodeSafetensors(...what: Parameters<typeof safetensorsParts>): Uint8Array {
  const parts = safetensorsParts(...what);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * Reads the header of a safetensors file, by the format's own rules: every byte of the data belongs to exactly one
 * tensor. Tensors are read one by one when they are asked for. Any fault is a UserError of one line.
 */
export async function openSafetensors(file: OpenFile, path: string): Promise<SafetensorsFile<FileTensor>> {
  const fail = (fault: string): never => {
    throw new UserError(`${path}: ${fault}`);
  };
  if (file.size < 8) fail(`not a safetensors file: ${file.size} bytes, too short for a header`);
  const first = await file.read(0, 8);
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (length > BigInt(file.size - 8)) {
    fail(`not a safetensors file, or truncated: header of ${length} bytes in a file of ${file.size}`);
  }
  // The format's own limit; random bytes should not make us read a whole disk as a header.
  if (length > MOST_HEADER) fail(`not a safetensors file: header of ${length} bytes`);
  const start = 8 + Number(length);
  const header = readHeader(await file.read(8, start), path);
  const entries = entriesOf(header, file.size - start, fail);
  const tensors = new Map(
    entries.map(({ name, dtype, shape, begin, end }): [string, FileTensor] => [
      name,
      {
        shape,
        file: path,
        bytes: end - begin,
        read: async () => dtype.read(await file.read(start + begin, start + end), 0, elements(shape)),
      },
    ]),
  );
  return { tensors, metadata: readMetadata(header, path) };
}

interface Entry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Bytes [begin, end) of the data. */
  readonly begin: number;
  readonly end: number;
}

/** The tensors of a header, in the order of their bytes, of which there are `available`. */
function entriesOf(header: JsonObject, available: number, fail: (fault: string) => never): Entry[] {
  const entries: Entry[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const label = show(name, 80);
    if (!isObject(entry)) return fail(`tensor ${label} has no dtype, shape and data_offsets`);
    const { dtype: code, shape, data_offsets: offsets } = entry;
    const dtype = typeof code === 'string' && Object.hasOwn(DTYPES, code) ? DTYPES[code] : undefined;
    if (dtype === undefined) return fail(`tensor ${label} has the unknown dtype ${show(code)}`);
    if (!isCounts(shape)) return fail(`tensor ${label} has a bad shape ${show(shape)}`);
    if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
      return fail(`tensor ${label} has bad data_offsets ${show(offsets)}`);
    }
    const [begin, end] = offsets as [number, number];
    if (end > available) fail(`tensor ${label} ends at byte ${end} of ${available}: the file is truncated`);
    if (elements(shape) * dtype.bytes !== end - begin) {
      fail(`tensor ${label} of shape [${shape}] and dtype ${code} cannot have ${end - begin} bytes`);
    }
    entries.push({ name, dtype, shape, begin, end });
  }
  // By begin, then end: an empty tensor sits before the one that starts at its place.
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = 0;
  for (const { name, begin, end } of entries) {
    if (begin < reached) fail(`tensor ${show(name, 80)} overlaps another`);
    if (begin > reached) fail(`bytes ${reached} to ${begin} belong to no tensor`);
    reached = end;
  }
  if (reached !== available) fail(`${available - reached} bytes after the last tensor`);
  return entries;
}

function readHeader(bytes: Uint8Array, fileName: string): JsonObject {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UserError(`${fileName}: not a safetensors file: its header is not UTF-8 text`);
  }
  if (!text.startsWith('{'))
    throw new UserError(`${fileName}: not a safetensors file: its header is not a JSON object`);
  const header = parseJson(text, `${fileName} (header)`);
  if (!isObject(header))
    throw new UserError(`${fileName}: not a safetensors file: its header is not a JSON object`);
  return header;
}

function readMetadata(header: JsonObject, fileName: string): Record<string, string> {
  const metadata = Object.hasOwn(header, '__metadata__') ? header.__metadata__ : {};
  const entries = isObject(metadata) ? Object.entries(metadata) : [['', null] as const];
  if (entries.some(([, value]) => typeof value !== 'string')) {
    throw new UserError(`${fileName}: __metadata__ must map names to strings`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && item >= 0);
}
