// The parts of bench:peers that are arithmetic and text. None of the engines that it compares with need be installed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHeads, toHeads } from '../../bench/peers/layout.ts';
import { backwardRows } from '../../bench/peers/measure.ts';
import { geometricMean, median, spread } from '../../bench/peers/numbers.ts';
import { Graph } from '../../bench/peers/ort/onnx.ts';
import { fastest, formatRow, HEADER, markdownTable, type Row } from '../../bench/peers/row.ts';
import { summarise } from '../../bench/peers/summary.ts';
import { flopsOf, HELD_OUT, nameOf, OPS, shapeOf, WORKS } from '../../bench/peers/work.ts';

const positive = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
const someNumbers = fc.array(positive, { minLength: 1, maxLength: 20 });

/** Rows of one piece of work by engine; null where the engine could not do it. */
function rowsOf(op: string, shape: string, times: Readonly<Record<string, number | null>>): Row[] {
  return Object.entries(times).map(([engine, ms]) => ({
    op,
    shape,
    engine: engine as Row['engine'],
    ms,
    spread: ms === null ? null : ms / 10,
    gflops: null,
    ratio: ms === null ? null : ms / times.ours!,
    tokensPerSecond: null,
    note: ms === null ? 'cannot: no gradients' : '',
  }));
}

describe('numbers', () => {
  it('takes the middle of an odd and of an even number of values, in any order', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow('no values');
  });

  it('measures the spread between the quartiles', () => {
    expect(spread([5])).toBe(0);
    expect(spread([1, 2, 3, 4, 5])).toBe(2);
    expect(spread([1, 2])).toBe(0.5);
  });

  it('has a geometric mean that treats a ratio and its inverse alike', () => {
    expect(geometricMean([2, 8])).toBeCloseTo(4, 12);
    fc.assert(
      fc.property(someNumbers, values => {
        const mean = geometricMean(values);
        expect(mean).toBeGreaterThanOrEqual(Math.min(...values) * (1 - 1e-9));
        expect(mean).toBeLessThanOrEqual(Math.max(...values) * (1 + 1e-9));
        expect(mean * geometricMean(values.map(value => 1 / value))).toBeCloseTo(1, 9);
      }),
    );
  });

  it('has no geometric mean of nothing, of zero or of less', () => {
    for (const values of [[], [1, 0], [1, -2], [Number.NaN]]) expect(() => geometricMean(values)).toThrow();
  });
});

describe('work', () => {
  it('has a dozen held-out shapes or more, each with an extent that no tile divides', () => {
    expect(HELD_OUT.length).toBeGreaterThanOrEqual(12);
    for (const shape of HELD_OUT) expect(shape.some(extent => extent % 4 !== 0)).toBe(true);
  });

  it('names each piece of work once, and every op has some', () => {
    const names = WORKS.map(work => `${nameOf(work)} ${shapeOf(work)}`);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(WORKS.map(({ op }) => op))).toEqual(new Set(OPS));
  });

  it('counts a product', () => {
    expect(flopsOf({ op: 'matmul', form: 'NT', M: 3, N: 5, K: 7 })).toBe(210);
  });
});

describe('layout', () => {
  it('brings heads to another order and back', () => {
    const size = fc.record({
      B: fc.integer({ min: 1, max: 3 }),
      T: fc.integer({ min: 1, max: 4 }),
      H: fc.integer({ min: 1, max: 3 }),
      D: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(size, fc.constantFrom('BTHD', 'BHTD'), ({ B, T, H, D }, order) => {
        const qkv = Float32Array.from({ length: 3 * B * T * H * D }, (_, i) => i);
        const parts = [0, 1, 2].map(part => toHeads(qkv, { B, T, H, D }, order, part, 3));
        expect(fromHeads(parts, { B, T, H, D }, order)).toEqual(qkv);
      }),
    );
  });

  it('puts the batch first', () => {
    // Time-major: rows (t, b) = (0, 0), (0, 1), (1, 0), (1, 1) of two heads of one channel.
    const data = [0, 1, 2, 3, 4, 5, 6, 7];
    const size = { B: 2, T: 2, H: 2, D: 1 };
    expect([...toHeads(data, size, 'BTHD')]).toEqual([0, 1, 4, 5, 2, 3, 6, 7]);
    expect([...toHeads(data, size, 'BHTD')]).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
  });
});

describe('rows', () => {
  const rows = rowsOf('gelu', '8x4', { ours: 2, tfjs: 9, jax: 5, ort: null });

  it('finds the fastest of those that could do it', () => {
    expect(fastest(rows, ['tfjs', 'jax', 'ort'])?.engine).toBe('jax');
    expect(fastest(rows, ['ort'])).toBeUndefined();
  });

  it('lines up under the header, and says why an engine has no time', () => {
    const [ours, , , ort] = rows.map(formatRow);
    expect(ours!.indexOf('2.00')).toBe(HEADER.indexOf(' ms') - 1);
    expect(ort).toMatch(/ort +cannot: no gradients$/);
  });

  it('sets the engines side by side in Markdown, with each note once', () => {
    const more = rowsOf('softmax', '8x4', { ours: 1, tfjs: 0.5, jax: 4, ort: null });
    expect(markdownTable([...rows, ...more]).split('\n')).toEqual([
      '| op | shape | ours, ms | tfjs, ms | jax, ms | ort, ms | fastest peer / ours |',
      '| --- | --- | ---: | ---: | ---: | ---: | ---: |',
      '| gelu | 8x4 | 2.00 ± 0.200 | 9.00 ± 0.900 | 5.00 ± 0.500 | –<sup>1</sup> | 2.50 (jax) |',
      '| softmax | 8x4 | 1.00 ± 0.100 | 0.500 ± 0.050 | 4.00 ± 0.400 | –<sup>1</sup> | 0.500 (tfjs) |',
      '',
      '1. cannot: no gradients',
    ]);
  });

  it('shows tokens a second of generation', () => {
    const [ours] = rowsOf('generation', 'B=1 32+16', { ours: 2 });
    const fast = { ...ours!, tokensPerSecond: 1234.5, note: 'cached' };
    expect(formatRow(fast)).toMatch(/1\.00× {2}1235 tokens\/s; cached$/);
    expect(markdownTable([fast])).toContain('2.00 ± 0.200 (1235 tokens/s)<sup>1</sup>');
  });

  it('takes the backward pass from both, less the forward', () => {
    const forward = rowsOf('layernorm forward', '8x4', { ours: 1, tfjs: 4, jax: 5, ort: 2 });
    const both = rowsOf('layernorm forward + backward', '8x4', { ours: 3, tfjs: 14, jax: 4, ort: null });
    const [ours, tfjs, jax, ort] = backwardRows(forward, both, 'layernorm');
    expect(ours).toMatchObject({ op: 'layernorm backward', ms: 2, ratio: 1, note: 'by difference' });
    expect(tfjs).toMatchObject({ ms: 10, ratio: 5 });
    expect(tfjs!.spread).toBeCloseTo(1.8, 12);
    // Both passes in less time than one: noise, of which no row is made.
    expect(jax).toMatchObject({ ms: null, ratio: null });
    expect(ort).toMatchObject({ ms: null, note: 'cannot: no gradients' });
  });
});

describe('summary', () => {
  it('takes products together by their geometric mean, each against the faster of those that train', () => {
    const rows = [
      ...rowsOf('matmul NN', '512x512x512', { ours: 1, tfjs: 9, jax: 5, ort: 3 }),
      ...rowsOf('matmul NN', '7x7x7', { ours: 1, tfjs: 2, jax: 3, ort: 1 }),
      ...rowsOf('matmul NT', '7x7x7', { ours: 1, tfjs: 9, jax: 8, ort: 4 }),
    ];
    expect(summarise(rows)).toEqual([
      'matmul, held-out shapes, all forms: 4.00× the faster of tfjs and jax, 2.00× the fastest of all (geometric mean of 2)',
      'matmul NN, held-out shapes: 2.00× the faster of tfjs and jax, 1.00× the fastest of all',
      'matmul NT, held-out shapes: 8.00× the faster of tfjs and jax, 4.00× the fastest of all',
      'matmul NN 512x512x512: 5.00× the faster of tfjs and jax, 3.00× the fastest of all',
    ]);
  });

  it('is silent on work that no peer could do, and names no trainer that had none', () => {
    expect(summarise(rowsOf('step', 'B=1', { ours: 1, tfjs: null, jax: null, ort: null }))).toEqual([]);
    expect(summarise(rowsOf('step', 'B=1', { ours: 1, tfjs: null, jax: null, ort: 2 }))).toEqual([
      'step B=1: 2.00× the fastest of all',
    ]);
    expect(summarise(rowsOf('step', 'B=1', { ours: 1, tfjs: 3, jax: null, ort: null }))).toEqual([
      'step B=1: 3.00× the faster of tfjs and jax',
    ]);
  });
});

describe('ONNX', () => {
  it('writes a model that reads back field by field', () => {
    const graph = new Graph();
    graph.input({ name: 'x', shape: ['rows', 300] });
    graph.add(
      'Softmax',
      ['x', graph.constant([2], Float32Array.of(1, -2), 'w')],
      { axis: -1, scale: 0.5 },
      'made',
    );
    graph.rename('made', 'y');
    graph.output({ name: 'y' });

    const model = fields(graph.model());
    const body = fields(model.get(7)![0] as Uint8Array);
    const node = fields(body.get(1)![0] as Uint8Array);
    expect([node.get(1)!.map(text), node.get(2)!.map(text), node.get(4)!.map(text)]).toEqual([
      ['x', 'w'],
      ['y'],
      ['Softmax'],
    ]);
    const [axis, scale] = node.get(5)!.map(bytes => fields(bytes as Uint8Array));
    expect([text(axis!.get(1)![0]!), axis!.get(3), axis!.get(20)]).toEqual(['axis', [2n ** 64n - 1n], [2n]]);
    expect(new DataView((scale!.get(2)![0] as Uint8Array).slice().buffer).getFloat32(0, true)).toBe(0.5);

    const constant = fields(body.get(5)![0] as Uint8Array);
    expect([constant.get(1), constant.get(2), text(constant.get(8)![0]!)]).toEqual([[2n], [1n], 'w']);
    expect(new Float32Array((constant.get(9)![0] as Uint8Array).slice().buffer)).toEqual(
      Float32Array.of(1, -2),
    );

    const input = fields(body.get(11)![0] as Uint8Array);
    const shape = [2, 1, 2].reduce((at, field) => fields(at).get(field)![0] as Uint8Array, rebuilt(input));
    const sizes = fields(shape)
      .get(1)!
      .map(size => fields(size as Uint8Array));
    expect([text(sizes[0]!.get(2)![0]!), sizes[1]!.get(1)]).toEqual(['rows', [300n]]);
    // An output without a shape has a type without one: any will do.
    const output = fields(body.get(12)![0] as Uint8Array);
    expect(fields(fields(output.get(2)![0] as Uint8Array).get(1)![0] as Uint8Array).has(2)).toBe(false);
  });
});

type Value = bigint | Uint8Array;

/** A protobuf message by field number: varints as bigint, all else as bytes. */
function fields(message: Uint8Array): Map<number, Value[]> {
  const out = new Map<number, Value[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const size = key % 8 === 0 ? 0 : key % 8 === 5 ? 4 : Number(varint());
    const value = key % 8 === 0 ? varint() : message.subarray(at, at + size);
    at += size;
    out.set(key >> 3, [...(out.get(key >> 3) ?? []), value]);
  }
  return out;
}

/** The message that holds only field 2 of another, so that a path of fields can begin at it. */
function rebuilt(message: Map<number, Value[]>): Uint8Array {
  const inner = message.get(2)![0] as Uint8Array;
  return Uint8Array.from([(2 << 3) | 2, inner.length, ...inner]);
}

function text(value: Value): string {
  return new TextDecoder().decode(value as Uint8Array);
}
