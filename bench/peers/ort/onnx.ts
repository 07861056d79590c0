// Writes ONNX models: just enough of the format (a protobuf message) for graphs of a few nodes. Knows messages, fields
// and varints; knows no runtime. Field numbers are those of onnx.proto (ONNX IR version 10).

/** ONNX's numbers of element types. */
const TYPES = { float: 1, int32: 6, int64: 7 } as const;

const VARINT = 0;
const LENGTH = 2;
const FIXED32 = 5;

/** Kinds of attribute in AttributeProto.type. */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** An input or output of the graph; a dimension is a size or the name of an unknown one. No shape: any at all. */
export interface OnnxValue {
  readonly name: string;
  readonly shape?: readonly (number | string)[];
  readonly type?: keyof typeof TYPES;
}

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole numbers are written as ints, others as floats. */
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
  /** '' (the default) is ONNX's own operators. */
  readonly domain?: string;
}

/** A constant of the graph. */
export interface OnnxConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | BigInt64Array;
}

/** A graph as it grows. Names of its own are given to whatever needs none from outside. */
export class Graph {
  readonly inputs: OnnxValue[] = [];
  readonly outputs: OnnxValue[] = [];
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxConstant[] = [];
  #names = 0;

  name(): string {
    return `t${this.#names++}`;
  }

  input(value: OnnxValue): void {
    this.inputs.push(value);
  }

  output(value: OnnxValue): void {
    this.outputs.push(value);
  }

  push(node: OnnxNode): void {
    this.nodes.push(node);
  }

  /** A node of one output; returns the output's name. */
  add(
    op: string,
    inputs: readonly string[],
    attributes: NonNullable<OnnxNode['attributes']> = {},
    output = this.name(),
  ): string {
    this.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  /** Gives another name to what a node makes, wherever it is used. */
  rename(from: string, to: string): void {
    const renamed = (names: readonly string[]): string[] => names.map(name => (name === from ? to : name));
    for (const [i, node] of this.nodes.entries())
      this.nodes[i] = { ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) };
  }

  constant(shape: readonly number[], data: OnnxConstant['data'], name = this.name()): string {
    this.constants.push({ name, shape, data });
    return name;
  }

  /** A constant list of integers, such as a shape. */
  int64(...values: readonly number[]): string {
    return this.constant([values.length], BigInt64Array.from(values.map(BigInt)));
  }

  /** The bytes of a model file. `opset` is the version of ONNX's own operators. */
  model(opset = 20): Uint8Array {
    const graph = message([
      ...this.nodes.map((node, i) => bytes(1, nodeProto(node, i))),
      text(2, 'graph'),
      ...this.constants.map(constant => bytes(5, tensorProto(constant))),
      ...this.inputs.map(value => bytes(11, valueProto(value))),
      ...this.outputs.map(value => bytes(12, valueProto(value))),
    ]);
    return message([
      int(1, 10),
      bytes(7, graph),
      bytes(8, message([text(1, ''), int(2, opset)])),
      bytes(8, message([text(1, 'com.microsoft'), int(2, 1)])),
    ]);
  }
}

function nodeProto(
  { op, inputs, outputs, attributes = {}, domain = '' }: OnnxNode,
  index: number,
): Uint8Array {
  return message([
    ...inputs.map(name => text(1, name)),
    ...outputs.map(name => text(2, name)),
    text(3, `${op}${index}`),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attributeProto(name, value))),
    text(7, domain),
  ]);
}

function attributeProto(name: string, value: number | string | readonly number[]): Uint8Array {
  const named = text(1, name);
  if (typeof value === 'string') return message([named, text(4, value), int(20, ATTRIBUTE.string)]);
  if (typeof value !== 'number')
    return message([named, ...value.map(item => int(8, item)), int(20, ATTRIBUTE.ints)]);
  return Number.isInteger(value)
    ? message([named, int(3, value), int(20, ATTRIBUTE.int)])
    : message([named, float(2, value), int(20, ATTRIBUTE.float)]);
}

function tensorProto({ name, shape, data }: OnnxConstant): Uint8Array {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const type = data instanceof Float32Array ? 'float' : data instanceof Int32Array ? 'int32' : 'int64';
  return message([...shape.map(size => int(1, size)), int(2, TYPES[type]), text(8, name), bytes(9, raw)]);
}

function valueProto({ name, shape, type = 'float' }: OnnxValue): Uint8Array {
  const dimensions = shape?.map(size =>
    bytes(1, message([typeof size === 'number' ? int(1, size) : text(2, size)])),
  );
  const tensor = message([int(1, TYPES[type]), ...(dimensions ? [bytes(2, message(dimensions))] : [])]);
  return message([text(1, name), bytes(2, message([bytes(1, tensor)]))]);
}

function message(fields: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(fields.reduce((size, field) => size + field.length, 0));
  let at = 0;
  for (const field of fields) {
    out.set(field, at);
    at += field.length;
  }
  return out;
}

function int(field: number, value: number): Uint8Array {
  return Uint8Array.from([...varint((field << 3) | VARINT), ...varint(value)]);
}

function float(field: number, value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setFloat32(0, value, true);
  return message([Uint8Array.from(varint((field << 3) | FIXED32)), out]);
}

function text(field: number, value: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(value));
}

function bytes(field: number, value: Uint8Array): Uint8Array {
  return message([Uint8Array.from([...varint((field << 3) | LENGTH), ...varint(value.length)]), value]);
}

/** Seven bits a byte, the lowest first; a negative number as its 64-bit two's complement. */
function varint(value: number): number[] {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...out, Number(rest)];
}
