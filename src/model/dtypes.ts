// The number formats of tensor files: bytes to typed arrays. Knows how numbers lie in bytes; knows no file and no
// names. (Typed arrays are little-endian on every machine that WebGPU runs on, as the files are.)

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

/** Bytes per element, and how to read `count` elements from `offset` on. */
export interface Dtype {
  readonly bytes: number;
  read(bytes: Uint8Array, offset: number, count: number): TensorData;
}

interface ArrayType<A extends TensorData | Float64Array> {
  new (buffer: ArrayBufferLike, offset: number, count: number): A;
  readonly BYTES_PER_ELEMENT: number;
}

/** A view where the alignment allows (our own files always), a copy of this one tensor where it does not. */
function view<A extends TensorData | Float64Array>(
  Type: ArrayType<A>,
  bytes: Uint8Array,
  offset: number,
  count: number,
): A {
  const size = Type.BYTES_PER_ELEMENT;
  const start = bytes.byteOffset + offset;
  if (start % size === 0) return new Type(bytes.buffer, start, count);
  return new Type(bytes.slice(offset, offset + count * size).buffer, 0, count);
}

function stored(Type: ArrayType<TensorData>): Dtype {
  return {
    bytes: Type.BYTES_PER_ELEMENT,
    read: (bytes, offset, count) => view(Type, bytes, offset, count),
  };
}

/** Of each pattern of 16 bits, the bits of the float32 of the same value. */
type Widening = (bits: number) => number;

/** 16-bit floats into float32, which holds each of them exactly. A table: a model has a hundred million of them. */
function widened(widening: Widening): Dtype {
  let table: Uint32Array | undefined;
  return {
    bytes: 2,
    read(bytes, offset, count) {
      table ??= Uint32Array.from({ length: 2 ** 16 }, (_, bits) => widening(bits));
      const halves = view(Uint16Array, bytes, offset, count);
      const out = new Uint32Array(count);
      for (let i = 0; i < count; i++) out[i] = table[halves[i]!]!;
      return new Float32Array(out.buffer);
    },
  };
}

const pattern = new Float32Array(1);
const patternBits = new Uint32Array(pattern.buffer);

/** IEEE binary16: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits. */
const fromHalf: Widening = bits => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) pattern[0] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  else if (exponent === 0) pattern[0] = sign * fraction * 2 ** -24;
  else pattern[0] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  return patternBits[0]!;
};

/** bfloat16 is the upper half of a float32. */
const fromBfloat: Widening = bits => bits * 2 ** 16;

/** By their codes in safetensors. F16, BF16 and F64 are read into float32; 8-bit floats stay bytes. */
export const DTYPES: Readonly<Record<string, Dtype>> = {
  F64: {
    bytes: 8,
    read: (bytes, offset, count) => Float32Array.from(view(Float64Array, bytes, offset, count)),
  },
  F32: stored(Float32Array),
  F16: widened(fromHalf),
  BF16: widened(fromBfloat),
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

/** The code that an array is written with. */
export function dtypeOf(data: TensorData): string {
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
