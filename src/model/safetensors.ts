// The safetensors format: bytes to named arrays and back. Knows the format's rules; knows no model, no file
// system and no device. https://huggingface.co/docs/safetensors — a u64 header length, a JSON
// header, then the tensors' bytes, little-endian, without holes. (Typed arrays are little-endian on every
// machine that WebGPU runs on.)
import { UserError } from '../errors.ts';
import { isObject, type JsonObject, parseJson, show } from '../json.ts';
import { elements } from './config.ts';

export type TensorData =
  | Float32Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** `data` is row-major. F16, BF16 and F64 are read into float32; 8-bit floats stay bytes. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface SafetensorsFile {
  /** In the order of their bytes. */
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes per element and how to read `count` elements at `offset`. */
interface Dtype {
  readonly bytes: number;
  read(bytes: Uint8Array, offset: number, count: number): TensorData;
}

interface ArrayType<A extends TensorData> {
  new (buffer: ArrayBufferLike, offset: number, count: number): A;
  readonly BYTES_PER_ELEMENT: number;
}

/** A view where the alignment allows (our own files always), a copy of this one tensor where it does not. */
function stored<A extends TensorData>(
  Type: ArrayType<A>,
): Dtype & { read(...args: Parameters<Dtype['read']>): A } {
  const size = Type.BYTES_PER_ELEMENT;
  return {
    bytes: size,
    read(bytes, offset, count) {
      const start = bytes.byteOffset + offset;
      if (start % size === 0) return new Type(bytes.buffer, start, count);
      return new Type(bytes.slice(offset, offset + count * size).buffer, 0, count);
    },
  };
}

/** Read element by element into float32, rounding to nearest. */
function widened(size: number, element: (view: DataView, at: number) => number): Dtype {
  return {
    bytes: size,
    read(bytes, offset, count) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + offset, count * size);
      return Float32Array.from({ length: count }, (_, i) => element(view, i * size));
    },
  };
}

const DTYPES: Readonly<Record<string, Dtype>> = {
  F64: widened(8, (view, at) => view.getFloat64(at, true)),
  F32: stored(Float32Array),
  F16: widened(2, (view, at) => halfToNumber(view.getUint16(at, true))),
  BF16: widened(2, (view, at) => bfloatToNumber(view.getUint16(at, true))),
  I64: stored(BigInt64Array),
  U64: stored(BigUint64Array),
  I32: stored(Int32Array),
  U32: stored(Uint32Array),
  I16: stored(Int16Array),
  U16: stored(Uint16Array),
  I8: stored(Int8Array),
  U8: stored(Uint8Array),
  BOOL: stored(Uint8Array),
  F8_E4M3: stored(Uint8Array),
  F8_E5M2: stored(Uint8Array),
};

/** IEEE binary16: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * (1 + fraction / 1024) * 2 ** (exponent - 15) : sign * fraction * 2 ** -24;
}

const pattern = new Uint32Array(1);
const patternAsFloat = new Float32Array(pattern.buffer);

/** bfloat16 is the upper half of a float32. */
function bfloatToNumber(bits: number): number {
  pattern[0] = bits << 16;
  return patternAsFloat[0];
}

/**
 * The bytes of a safetensors file: tensors in the given order, header padded so that data starts on a multiple
 * of 8. Throws an Error (ours to mend) where a shape does not fit its data or a name comes twice.
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, StoredTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
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
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(start + end).fill(0x20, 8, start);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.set(json, 8);
  let at = start;
  for (const [, { data }] of list) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

function dtypeOf(data: TensorData): string {
  if (data instanceof Float32Array) return 'F32';
  if (data instanceof Int32Array) return 'I32';
  if (data instanceof Uint32Array) return 'U32';
  if (data instanceof BigInt64Array) return 'I64';
  if (data instanceof BigUint64Array) return 'U64';
  if (data instanceof Int16Array) return 'I16';
  if (data instanceof Uint16Array) return 'U16';
  if (data instanceof Int8Array) return 'I8';
  return 'U8';
}

/**
 * Reads a safetensors file, by the format's own rules: every byte of the data belongs to exactly one tensor.
 * Arrays are views into `bytes` where alignment and type allow. Any fault is a UserError of one line.
 */
export function decodeSafetensors(bytes: Uint8Array, fileName: string): SafetensorsFile {
  const fail = (fault: string): never => {
    throw new UserError(`${fileName}: ${fault}`);
  };
  if (bytes.length < 8) fail(`not a safetensors file: ${bytes.length} bytes, too short for a header`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(bytes.length - 8)) {
    fail(`not a safetensors file, or truncated: header of ${length} bytes in a file of ${bytes.length}`);
  }
  const start = 8 + Number(length);
  const header = readHeader(bytes.subarray(8, start), fileName);
  const available = bytes.length - start;

  const entries: { name: string; dtype: Dtype; shape: number[]; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const label = show(name, 80);
    if (!isObject(entry)) return fail(`tensor ${label} has no dtype, shape and data_offsets`);
    const { dtype: code, shape, data_offsets: offsets } = entry;
    const dtype = typeof code === 'string' && Object.hasOwn(DTYPES, code) ? DTYPES[code] : undefined;
    if (dtype === undefined) return fail(`tensor ${label} has the unknown dtype ${show(code)}`);
    if (!isCounts(shape)) return fail(`tensor ${label} has a bad shape ${show(shape)}`);
    if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
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
  const tensors = new Map<string, StoredTensor>();
  let reached = 0;
  for (const { name, dtype, shape, begin, end } of entries) {
    if (begin < reached) fail(`tensor ${show(name, 80)} overlaps another`);
    if (begin > reached) fail(`bytes ${reached} to ${begin} belong to no tensor`);
    reached = end;
    tensors.set(name, { shape, data: dtype.read(bytes, start + begin, elements(shape)) });
  }
  if (reached !== available) fail(`${available - reached} bytes after the last tensor`);
  return { tensors, metadata: readMetadata(header, fileName) };
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
