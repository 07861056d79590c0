// Model folders as Hugging Face's save_pretrained writes them: random ones are read, written back and read again;
// broken ones are refused in one line that names the file and says what to do.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { elements, parameterShapes, parseConfig } from '../../src/model/config.ts';
import { readModel, writeModel } from '../../src/model/folder.ts';
import { encodeSafetensors } from '../../src/model/safetensors.ts';
import { nodeFiles } from '../../src/platform/files.ts';
import { userError } from './expect-error.ts';
import { memoryFiles } from './memory-files.ts';

/** A tensor as another program wrote it. */
interface Foreign {
  readonly dtype: 'F32' | 'F16' | 'BF16' | 'U8';
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A safetensors file of any dtype, by hand: our own writer knows no 16-bit floats. */
function foreignFile(tensors: readonly (readonly [string, Foreign])[]): Uint8Array {
  let end = 0;
  const entries = tensors.map(([name, { dtype, shape, bytes }]) => {
    const begin = end;
    end += bytes.length;
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const header = Buffer.from(
    JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return new Uint8Array(Buffer.concat([length, header, ...tensors.map(([, { bytes }]) => bytes)]));
}

/** Random bits: any pattern, NaNs and infinities included, must come through. */
function foreign(dtype: 'F32' | 'F16' | 'BF16', shape: readonly number[], seed: number): Foreign {
  const bytes = new Uint8Array(elements(shape) * (dtype === 'F32' ? 4 : 2));
  let state = seed;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return { dtype, shape, bytes };
}

/** What a tensor must become, by Node's own means. */
function expected({ dtype, bytes }: Foreign): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = bytes.length / (dtype === 'F32' ? 4 : 2);
  if (dtype === 'F32') return new Float32Array(bytes.slice().buffer);
  if (dtype === 'F16') return Float32Array.from({ length: count }, (_, i) => view.getFloat16(2 * i, true));
  return new Float32Array(
    Uint32Array.from({ length: count }, (_, i) => view.getUint16(2 * i, true) << 16).buffer,
  );
}

const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

const CONFIG = {
  architectures: ['GPT2LMHeadModel'],
  model_type: 'gpt2',
  activation_function: 'gelu_new',
  vocab_size: 7,
  n_positions: 5,
  n_embd: 4,
  n_layer: 2,
  n_head: 2,
  eos_token_id: 6,
};
const TOKENIZER = '{"model": {}}\n';

interface Plan {
  readonly dtypes: readonly ('F32' | 'F16' | 'BF16')[];
  readonly prefix: boolean;
  readonly head: 'none' | 'copy' | 'own';
  readonly masks: boolean;
  /** 0: a single file; else the most tensors of a shard. */
  readonly shard: number;
  readonly seed: number;
}

const plans: fc.Arbitrary<Plan> = fc.record({
  dtypes: fc.array(fc.constantFrom('F32', 'F16', 'BF16'), { minLength: 1, maxLength: 5 }),
  prefix: fc.boolean(),
  head: fc.constantFrom('none', 'copy', 'own'),
  masks: fc.boolean(),
  shard: fc.nat(9),
  seed: fc.integer(),
});

/** The folder of a plan, and the tensors by full name that must be found in it. */
function folder(plan: Plan): { entries: Map<string, Uint8Array>; tensors: Map<string, Foreign> } {
  const json = { ...CONFIG, ...(plan.head === 'own' && { tie_word_embeddings: false }) };
  const shapes = parameterShapes(parseConfig(JSON.stringify(json), 'config.json'));
  const tensors = new Map(
    shapes.map(([name, shape], i): [string, Foreign] => [
      name,
      foreign(plan.dtypes[i % plan.dtypes.length]!, shape, plan.seed + i),
    ]),
  );
  const stored: [string, Foreign][] = [...tensors];
  if (plan.head === 'copy') stored.push(['lm_head.weight', tensors.get('transformer.wte.weight')!]);
  if (plan.masks)
    for (const [name, shape] of [
      ['bias', [1, 1, 5, 5]],
      ['masked_bias', []],
    ] as const)
      stored.unshift([
        `transformer.h.1.attn.${name}`,
        { dtype: 'U8', shape, bytes: new Uint8Array(elements(shape)) },
      ]);
  const named = stored.map(([name, tensor]): [string, Foreign] => [
    plan.prefix ? name : name.replace('transformer.', ''),
    tensor,
  ]);
  const entries = new Map<string, Uint8Array>();
  const put = (name: string, content: Uint8Array | string) =>
    entries.set(`m/${name}`, typeof content === 'string' ? Buffer.from(content) : content);
  put('config.json', JSON.stringify(json));
  put('tokenizer.json', TOKENIZER);
  if (plan.shard === 0) put('model.safetensors', foreignFile(named));
  else {
    const shards: [string, Foreign][][] = [];
    // Shards of many sizes: 1 to `shard` tensors each.
    for (let at = 0, size = 1; at < named.length; at += size, size = (size % plan.shard) + 1)
      shards.push(named.slice(at, at + size));
    const digits = (n: number) => String(n).padStart(5, '0');
    const nameOf = (i: number) => `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
    const map = Object.fromEntries(shards.flatMap((shard, i) => shard.map(([name]) => [name, nameOf(i)])));
    const total = named.reduce((sum, [, { bytes }]) => sum + bytes.length, 0);
    for (const [i, shard] of shards.entries()) put(nameOf(i), foreignFile(shard));
    put('model.safetensors.index.json', JSON.stringify({ metadata: { total_size: total }, weight_map: map }));
  }
  return { entries, tensors };
}

describe('a folder of another program', () => {
  it('is read whatever its shards, dtypes and names, and opens again bit for bit once written back', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async plan => {
        const { entries, tensors } = folder(plan);
        const files = memoryFiles(entries);
        // A copied head of random bits may hold NaNs, which are equal to themselves here.
        const model = await readModel(files, 'm');
        expect([...model.weights.keys()]).toEqual([...tensors.keys()]);
        for (const [name, tensor] of tensors) {
          const found = model.weights.get(name)!;
          // Of a widened NaN only that it is one is promised.
          if (tensor.dtype === 'F32') expect(bits(found), name).toEqual(bits(expected(tensor)));
          else expect(found, name).toEqual(expected(tensor));
        }
        await writeModel(files, 'back', model);
        const again = await readModel(files, 'back');
        expect(again.config).toEqual(model.config);
        for (const [name, values] of model.weights)
          expect(bits(again.weights.get(name)!), name).toEqual(bits(values));
        expect(await files.list('back')).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
      }),
      { numRuns: 60 },
    );
  });

  it('is read from the disk too, tensor by tensor', async () => {
    const root = mkdtempSync(join(tmpdir(), 'mentalese-hub-'));
    afterAll(() => rmSync(root, { recursive: true, force: true }));
    const { entries, tensors } = folder({
      dtypes: ['BF16', 'F32'],
      prefix: false,
      head: 'own',
      masks: true,
      shard: 3,
      seed: 5,
    });
    for (const [path, bytes] of entries) writeFileSync(join(root, path.slice(2)), bytes);
    const model = await readModel(nodeFiles, root);
    expect(model.config.ownHead).toBe(true);
    for (const [name, tensor] of tensors) expect(model.weights.get(name), name).toEqual(expected(tensor));
    await writeModel(nodeFiles, join(root, 'back'), model);
    expect(await readModel(nodeFiles, join(root, 'back'))).toEqual(model);
  });
});

describe('a broken folder', () => {
  const plan = { dtypes: ['F32'], prefix: true, head: 'none', masks: false, seed: 1 } as const;
  const INDEX = 'm/model.safetensors.index.json';
  const LAST = 'm/model-00010-of-00010.safetensors';

  async function refusal(
    shard: number,
    damage: (entries: Map<string, Uint8Array>) => unknown,
  ): Promise<string> {
    const { entries } = folder({ ...plan, shard });
    damage(entries);
    return userError(() => readModel(memoryFiles(entries), 'm'));
  }
  type Edited = Record<string, unknown> & {
    weight_map: Record<string, string>;
    metadata: { total_size: number };
  };
  const edited = (
    entries: Map<string, Uint8Array>,
    path: string,
    change: (json: Edited) => unknown,
  ): void => {
    const json = JSON.parse(Buffer.from(entries.get(path)!).toString());
    change(json);
    entries.set(path, Buffer.from(JSON.stringify(json)));
  };

  it.each<[string, number, (entries: Map<string, Uint8Array>) => unknown, string]>([
    [
      'no config',
      0,
      e => e.delete('m/config.json'),
      'm/config.json: no such file: put the config of a GPT-2 there',
    ],
    [
      'no tokenizer',
      0,
      e => e.delete('m/tokenizer.json'),
      "m/tokenizer.json: no such file: put the model's tokenizer (or vocab.json and merges.txt beside it) there",
    ],
    [
      'no weights',
      0,
      e => e.delete('m/model.safetensors'),
      "m/model.safetensors: no such file: put the model's weights there, or model.safetensors.index.json and its shards",
    ],
    [
      'pickled weights alone',
      0,
      e => {
        e.delete('m/model.safetensors');
        e.set('m/pytorch_model.bin', new Uint8Array(3));
      },
      'm/model.safetensors: no such file, and pytorch_model.bin cannot be read: write the model again with save_pretrained(…, safe_serialization=True)',
    ],
    [
      'a missing shard',
      5,
      e => e.delete(LAST),
      `${LAST}: no such file, but model.safetensors.index.json names it`,
    ],
    [
      'a truncated shard',
      5,
      e => e.set(LAST, e.get(LAST)!.subarray(0, -1)),
      `${LAST}: tensor "transformer.ln_f.bias" ends at byte 48 of 47: the file is truncated`,
    ],
    [
      'a truncated single file',
      0,
      e => e.set('m/model.safetensors', e.get('m/model.safetensors')!.subarray(0, -5)),
      'm/model.safetensors: tensor "transformer.ln_f.bias" ends at byte 2176 of 2171: the file is truncated',
    ],
    [
      'a shard of nothing',
      5,
      e => e.set(LAST, new Uint8Array(0)),
      `${LAST}: not a safetensors file: 0 bytes, too short for a header`,
    ],
    [
      'a tensor that its shard lacks',
      5,
      e =>
        edited(e, INDEX, json => {
          json.weight_map['transformer.h.2.ln_1.bias'] = 'model-00001-of-00010.safetensors';
        }),
      `m/model-00001-of-00010.safetensors: lacks "transformer.h.2.ln_1.bias", which model.safetensors.index.json says it has`,
    ],
    [
      'a shard with a tensor more',
      5,
      e => edited(e, INDEX, json => delete json.weight_map['transformer.wpe.weight']),
      'm/model-00002-of-00010.safetensors: holds "transformer.wpe.weight", which model.safetensors.index.json does not say',
    ],
    [
      'shards of another precision',
      5,
      e =>
        edited(e, INDEX, json => {
          json.metadata.total_size *= 2;
        }),
      `${INDEX}: says 4352 bytes of tensors, the shards hold 2176: they are not of one model`,
    ],
    [
      'a shard outside the folder',
      5,
      e =>
        edited(e, INDEX, json => {
          json.weight_map['transformer.ln_f.bias'] = '../x.safetensors';
        }),
      `${INDEX}: "weight_map" puts "transformer.ln_f.bias" into "../x.safetensors", expected a .safetensors file of the folder`,
    ],
    [
      'an index without a map',
      5,
      e => edited(e, INDEX, json => Reflect.deleteProperty(json, 'weight_map')),
      `${INDEX}: expected a JSON object with a "weight_map" of tensors to files`,
    ],
    [
      'an index that ends early',
      5,
      e => e.set(INDEX, Buffer.from('{"weight_map": {')),
      `${INDEX}: not valid JSON: Expected property name or '}' in JSON at position 16 (line 1 column 17)`,
    ],
    [
      'a config of another shape',
      5,
      e => edited(e, 'm/config.json', json => (json.n_positions = 6)),
      'm/model-00002-of-00010.safetensors: transformer.wpe.weight has shape [5, 4], config.json says [6, 4]',
    ],
    [
      'a config of more layers',
      5,
      e => edited(e, 'm/config.json', json => (json.n_layer = 3)),
      `${INDEX}: lacks transformer.h.2.ln_1.weight, transformer.h.2.ln_1.bias, transformer.h.2.attn.c_attn.weight and 9 more`,
    ],
    [
      'an untied head that is not there',
      5,
      e => edited(e, 'm/config.json', json => (json.tie_word_embeddings = false)),
      `${INDEX}: lacks lm_head.weight`,
    ],
    [
      'a head that is neither tied nor not',
      5,
      e => edited(e, 'm/config.json', json => (json.tie_word_embeddings = 'yes')),
      'm/config.json: tie_word_embeddings must be true or false, got "yes"',
    ],
    [
      'integers',
      0,
      e => e.set('m/model.safetensors', integers(e.get('m/config.json')!)),
      'm/model.safetensors: transformer.wte.weight holds integers, expected F32, F16, BF16 or F64',
    ],
  ])('is refused: %s', async (_, shard, damage, message) => {
    expect(await refusal(shard, damage)).toBe(message);
  });

  function integers(config: Uint8Array): Uint8Array {
    const shapes = parameterShapes(parseConfig(Buffer.from(config).toString(), 'config.json'));
    return encodeSafetensors(
      shapes.map(([name, shape]) => [name, { shape, data: new Int32Array(elements(shape)) }]),
    );
  }
});
