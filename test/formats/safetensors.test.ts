import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openBytes } from '../../src/files.ts';
import { elements, type ModelConfig, parameterShapes, parseConfig } from '../../src/model/config.ts';
import { encodeSafetensors, openSafetensors, type StoredTensor } from '../../src/model/safetensors.ts';
import { weightsFor } from '../../src/model/weights.ts';
import { decodeSafetensors } from './decode.ts';
import { userError } from './expect-error.ts';

/** A file from its parts, for files that our own writer would not write. */
function file(header: unknown, data: Uint8Array | number = 0): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const body = typeof data === 'number' ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + json.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(body, 8 + json.length);
  return bytes;
}

const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const decode = (bytes: Uint8Array) => decodeSafetensors(bytes, 'm.safetensors');
const raw = (data: StoredTensor['data']) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

const tensor: fc.Arbitrary<StoredTensor> = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }), fc.integer({ min: 0, max: 4 }))
  .chain(([shape, type]) => {
    const Type = [Float32Array, Int32Array, Uint32Array, BigInt64Array, Uint8Array][type];
    const length = elements(shape) * Type.BYTES_PER_ELEMENT;
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map(bytes => ({ shape, data: new Type(bytes.slice().buffer) }));
  });

describe('safetensors', () => {
  it('round-trips any tensors and metadata bit for bit, at any alignment of the bytes', async () => {
    const name = fc.string({ minLength: 1 }).filter(n => n !== '__metadata__');
    const named = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([n]) => n, maxLength: 6 });
    const metadata = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 });
    await fc.assert(
      fc.asyncProperty(named, metadata, fc.integer({ min: 0, max: 7 }), async (tensors, meta, shift) => {
        const bytes = encodeSafetensors(tensors, meta);
        const moved = new Uint8Array(bytes.length + shift);
        moved.set(bytes, shift);
        const back = await decode(moved.subarray(shift));
        expect({ ...back.metadata }).toEqual({ ...meta });
        expect([...back.tensors.keys()].sort()).toEqual(tensors.map(([n]) => n).sort());
        for (const [n, { shape, data }] of tensors) {
          const found = back.tensors.get(n)!;
          expect(found.shape).toEqual(shape);
          expect(found.data.constructor).toBe(data.constructor);
          expect(raw(found.data)).toEqual(raw(data));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('starts data on a multiple of 8, keeps the order and reads its own files without a copy', async () => {
    const bytes = encodeSafetensors([
      ['b', { shape: [3], data: Float32Array.of(1, 2, 3) }],
      ['a', { shape: [], data: Float32Array.of(4) }],
    ]);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(bytes.length).toBe(8 + length + 16);
    const { tensors } = await decode(bytes);
    expect([...tensors.keys()]).toEqual(['b', 'a']);
    expect(tensors.get('b')!.data.buffer).toBe(bytes.buffer);
  });

  it('widens F16, BF16 and F64 to float32, special values included', async () => {
    const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x8000, 0x3555);
    const header = {
      h: entry('F16', [8], 0, 16),
      b: entry('BF16', [2], 16, 20),
      d: entry('F64', [1], 20, 28),
    };
    const data = new Uint8Array(28);
    data.set(raw(half));
    data.set(raw(Uint16Array.of(0x3f80, 0xc049)), 16);
    data.set(raw(Float64Array.of(Math.PI) as unknown as Float32Array), 20);
    const { tensors } = await decode(file(header, data));
    expect([...(tensors.get('h')!.data as Float32Array)]).toEqual([
      1,
      -2,
      2 ** -24,
      65504,
      Infinity,
      -Infinity,
      -0,
      0.333251953125,
    ]);
    expect([...(tensors.get('b')!.data as Float32Array)]).toEqual([1, -3.140625]);
    expect([...(tensors.get('d')!.data as Float32Array)]).toEqual([Math.fround(Math.PI)]);
    const nan = await decode(file({ n: entry('F16', [1], 0, 2) }, Uint8Array.of(1, 0x7e)));
    expect(nan.tensors.get('n')!.data[0]).toBeNaN();
  });

  it('widens every 16-bit pattern to what Node makes of it, also at odd addresses', async () => {
    const all = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
    const header = {
      odd: entry('U8', [1], 0, 1),
      h: entry('F16', [2 ** 16], 1, 1 + 2 ** 17),
      b: entry('BF16', [2 ** 16], 1 + 2 ** 17, 1 + 2 ** 18),
    };
    const data = new Uint8Array(1 + 2 ** 18);
    data.set(raw(all), 1);
    data.set(raw(all), 1 + 2 ** 17);
    const { tensors } = await decode(file(header, data));
    const view = new DataView(data.buffer);
    const half = Float32Array.from(all, (_, i) => view.getFloat16(1 + 2 * i, true));
    expect(tensors.get('h')!.data).toEqual(half);
    const upper = new Uint8Array(4 * 2 ** 16);
    for (const [i, bits] of all.entries()) new DataView(upper.buffer).setUint16(4 * i + 2, bits, true);
    expect(tensors.get('b')!.data).toEqual(new Float32Array(upper.buffer));
  });

  it.each([
    ['empty', new Uint8Array(0), 'not a safetensors file: 0 bytes, too short for a header'],
    ['seven bytes', new Uint8Array(7), 'not a safetensors file: 7 bytes, too short for a header'],
    ['a huge header', new Uint8Array(16).fill(255), /header of 18446744073709551615 bytes in a file of 16/],
    ['no JSON object', file('[]'), 'not a safetensors file: its header is not a JSON object'],
    ['broken JSON', file('{"a":\n{'), /not valid JSON/],
    [
      'no UTF-8',
      file('{"a').map((b, i) => (i === 9 ? 255 : b)),
      'not a safetensors file: its header is not UTF-8 text',
    ],
    ['no entry', file({ a: 3 }), 'tensor "a" has no dtype, shape and data_offsets'],
    ['unknown dtype', file({ a: entry('F4', [1], 0, 1) }, 1), 'tensor "a" has the unknown dtype "F4"'],
    [
      'inherited dtype',
      file({ a: entry('toString', [1], 0, 1) }, 1),
      'tensor "a" has the unknown dtype "toString"',
    ],
    ['negative shape', file({ a: entry('F32', [-1], 0, 4) }, 4), 'tensor "a" has a bad shape [-1]'],
    ['fractional shape', file({ a: entry('F32', [0.5], 0, 2) }, 2), 'tensor "a" has a bad shape [0.5]'],
    [
      'offsets back to front',
      file({ a: entry('F32', [1], 4, 0) }, 4),
      'tensor "a" has bad data_offsets [4,0]',
    ],
    [
      'truncated data',
      file({ a: entry('F32', [2], 0, 8) }, 7),
      'tensor "a" ends at byte 8 of 7: the file is truncated',
    ],
    [
      'shape against bytes',
      file({ a: entry('F32', [3], 0, 8) }, 8),
      'tensor "a" of shape [3] and dtype F32 cannot have 8 bytes',
    ],
    [
      'overlap',
      file({ a: entry('F32', [2], 0, 8), b: entry('F32', [1], 4, 8) }, 8),
      'tensor "b" overlaps another',
    ],
    ['a hole', file({ a: entry('F32', [1], 4, 8) }, 8), 'bytes 0 to 4 belong to no tensor'],
    ['a tail', file({ a: entry('F32', [1], 0, 4) }, 9), '5 bytes after the last tensor'],
    ['bad metadata', file({ __metadata__: { a: 1 } }), '__metadata__ must map names to strings'],
    ['metadata no object', file({ __metadata__: [] }), '__metadata__ must map names to strings'],
    ['a line break in a name', file({ 'a\nb': 1 }), 'tensor "a\\nb" has no dtype, shape and data_offsets'],
  ])('refuses %s', async (_, bytes, fault) => {
    const message = await userError(() => decode(bytes));
    expect(message.startsWith('m.safetensors')).toBe(true);
    if (typeof fault === 'string') expect(message).toBe(`m.safetensors: ${fault}`);
    else expect(message).toMatch(fault);
  });

  it('refuses every truncation, and never throws anything but a UserError on mutated bytes', async () => {
    const good = encodeSafetensors([
      ['w', { shape: [2, 3], data: Float32Array.from([1, 2, 3, 4, 5, 6]) }],
      ['n', { shape: [2], data: Int32Array.of(7, 8) }],
    ]);
    for (let length = 0; length < good.length; length++) await userError(() => decode(good.slice(0, length)));
    const mutation = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(mutation, async changes => {
        const bytes = good.slice();
        for (const [at, value] of changes) bytes[at] = value;
        try {
          await decode(bytes);
        } catch {
          await userError(() => decode(bytes));
        }
      }),
      { numRuns: 500 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 64 }),
        async bytes => void (await userError(() => decode(bytes))),
      ),
    );
  });

  it('refuses to write what does not fit', () => {
    expect(() => encodeSafetensors([['a', { shape: [2], data: new Float32Array(3) }]])).toThrow(
      'shape [2] and 3 elements',
    );
    const one = { shape: [1], data: new Float32Array(1) };
    expect(() =>
      encodeSafetensors([
        ['a', one],
        ['a', one],
      ]),
    ).toThrow('same name');
  });
});

describe('weightsFor', () => {
  const config: ModelConfig = parseConfig(
    '{"vocab_size":5,"n_positions":4,"n_embd":4,"n_layer":1,"n_head":2}',
    'config.json',
  );
  const shapes = parameterShapes(config);
  const all = (rename = (name: string) => name): Map<string, StoredTensor> =>
    new Map(
      shapes.map(([name, shape], i) => [
        rename(name),
        { shape, data: new Float32Array(elements(shape)).fill(i) },
      ]),
    );
  /** By way of a file, with the config given. */
  const weights = async (tensors: Map<string, StoredTensor>, change = {}) => {
    const bytes = encodeSafetensors(tensors);
    const opened = await openSafetensors(openBytes(bytes), 'm.safetensors');
    return weightsFor({ ...config, ...change }, opened.tensors, 'm.safetensors');
  };

  it('takes names with and without prefix, in any order, and skips masks and a copy of the tied head', async () => {
    const bare = new Map([...all(name => name.replace('transformer.', ''))].reverse());
    bare.set('h.0.attn.bias', { shape: [1, 1, 4, 4], data: new Uint8Array(16) });
    bare.set('h.0.attn.masked_bias', { shape: [], data: Float32Array.of(-1e4) });
    bare.set('lm_head.weight', bare.get('wte.weight')!);
    const found = await weights(bare);
    expect([...found.keys()]).toEqual(shapes.map(([name]) => name));
    expect(found).toEqual(await weights(all()));
  });

  const change = (edit: (tensors: Map<string, StoredTensor>) => void) => {
    const tensors = all();
    edit(tensors);
    return userError(() => weights(tensors));
  };

  it('names what is missing, unexpected, misshapen or twice there', async () => {
    expect(await change(t => t.delete('transformer.h.0.ln_2.bias'))).toBe(
      'm.safetensors: lacks transformer.h.0.ln_2.bias',
    );
    expect(await change(t => t.clear())).toBe(
      'm.safetensors: lacks transformer.wte.weight, transformer.wpe.weight, transformer.h.0.ln_1.weight and 13 more',
    );
    expect(await change(t => t.set('transformer.h.1.ln_1.bias', t.get('transformer.ln_f.bias')!))).toBe(
      'm.safetensors: has transformer.h.1.ln_1.bias, not a parameter of the model in config.json',
    );
    expect(
      await change(t => t.set('transformer.wte.weight', { shape: [4, 5], data: new Float32Array(20) })),
    ).toBe('m.safetensors: transformer.wte.weight has shape [4, 5], config.json says [5, 4]');
    expect(await change(t => t.set('transformer.ln_f.bias', { shape: [4], data: new Int32Array(4) }))).toBe(
      'm.safetensors: transformer.ln_f.bias holds integers, expected F32, F16, BF16 or F64',
    );
    expect(await change(t => t.set('ln_f.bias', t.get('transformer.ln_f.bias')!))).toBe(
      'm.safetensors: holds "transformer.ln_f.bias" twice, with and without transformer.',
    );
    expect(
      await change(t => t.set('lm_head.weight', { shape: [5, 4], data: new Float32Array(20).fill(9) })),
    ).toBe(
      'm.safetensors: lm_head.weight differs from transformer.wte.weight: config.json must say "tie_word_embeddings": false',
    );
  });

  it('takes a head of its own where the config says so, and then needs it', async () => {
    const head = new Float32Array(20).fill(9);
    const found = await weights(all().set('lm_head.weight', { shape: [5, 4], data: head }), {
      ownHead: true,
    });
    expect([...found.keys()]).toEqual([...shapes.map(([name]) => name), 'lm_head.weight']);
    expect(found.get('lm_head.weight')).toEqual(head);
    expect(await userError(() => weights(all(), { ownHead: true }))).toBe(
      'm.safetensors: lacks lm_head.weight',
    );
    const short = all().set('lm_head.weight', { shape: [4, 4], data: new Float32Array(16) });
    for (const change of [{}, { ownHead: true }])
      expect(await userError(() => weights(short, change))).toBe(
        'm.safetensors: lm_head.weight has shape [4, 4], config.json says [5, 4]',
      );
  });
});
