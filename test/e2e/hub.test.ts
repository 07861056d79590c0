// A pretrained folder as the hub has it, through the command line: shards of 16-bit floats, GPT-2's vocabulary, no
// markers. It is trained to think, asked, evaluated and gone on with.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { elements, parameterShapes, parseConfig } from '../../src/model/config.ts';
import { readModel } from '../../src/model/folder.ts';
import { nodeFiles } from '../../src/platform/files.ts';
import { gpt2Json } from '../data/gpt2.ts';
import { seeded } from '../numbers.ts';
import { run, scratch, succeed } from './child.ts';

const folder = scratch();
const hub = join(folder, 'hub');
const data = join(folder, 'gsm.txt');
const out = join(folder, 'run');
const CONFIG = {
  model_type: 'gpt2',
  vocab_size: 50257,
  n_positions: 64,
  n_embd: 4,
  n_layer: 1,
  n_head: 1,
  eos_token_id: 50256,
};

beforeAll(async () => {
  mkdirSync(hub);
  writeFileSync(join(hub, 'config.json'), JSON.stringify(CONFIG));
  writeFileSync(join(hub, 'tokenizer.json'), gpt2Json());
  const random = seeded(3);
  const map: Record<string, string> = {};
  for (const [i, [name, shape]] of parameterShapes(parseConfig(JSON.stringify(CONFIG), 'c')).entries()) {
    // BF16: the upper halves of small numbers.
    const halves = Uint16Array.from({ length: elements(shape) }, () => 0x3d00 + Math.floor(random() * 256));
    const header = Buffer.from(
      JSON.stringify({ [name]: { dtype: 'BF16', shape, data_offsets: [0, halves.byteLength] } }),
    );
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    map[name] = `model-${i}.safetensors`;
    writeFileSync(join(hub, map[name]!), Buffer.concat([length, header, Buffer.from(halves.buffer)]));
  }
  writeFileSync(join(hub, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  const lines = Array.from(
    { length: 20 },
    (_, i) => `What is ${i} plus 1?||<<${i}+1=${i + 1}>> #### ${i + 1}`,
  );
  writeFileSync(data, lines.join('\n'));
  const flags = `--preset smoke --init ${hub} --data ${data} --out ${out} --score number --batch 2 --max-latent-stage 1`;
  const short =
    '--stage-steps 2,2 --warmup 1 --stage-check-every 2 --valid-samples 2 --eval-samples 2 --checkpoint-every 2';
  const text = await succeed('train.ts', `${flags} ${short}`);
  expect(text).toMatch(/vocabulary 50260/);
  expect(text).toMatch(
    /^norms: a token's embedding \S+, the hidden state that is fed back \S+, \S+ times as long$/m,
  );
});

test('the trained model has the markers, and opens again', async () => {
  const model = await readModel(nodeFiles, join(out, 'final'));
  expect(model.config).toMatchObject({
    vocabSize: 50260,
    startLatentId: 50257,
    endLatentId: 50258,
    latentTokenId: 50259,
  });
  expect(model.weights.get('transformer.wte.weight')!.length).toBe(50260 * 4);
});

test('it is asked and evaluated, and the pretrained folder is too', async () => {
  const asked = ['--prompt', 'What is 3 plus 1?', '--max-tokens', '3'];
  const thoughts = await succeed('tools/generate.ts', [
    '--model',
    join(out, 'final'),
    ...asked,
    '--thoughts',
  ]);
  expect(thoughts).toMatch(/^thought 1: /);
  const score = ['--data', data, '--limit', '3', '--score', 'number', '--json'];
  const [trained, bare] = await Promise.all([
    succeed('tools/evaluate.ts', ['--model', join(out, 'final'), ...score]),
    succeed('tools/evaluate.ts', ['--model', hub, '--mode', 'no-cot', ...score]),
  ]);
  expect(JSON.parse(trained)).toMatchObject({ mode: 'coconut', samples: 3 });
  expect(JSON.parse(bare)).toMatchObject({ mode: 'no-cot', samples: 3 });
});

test('a missing shard is refused in one line', async () => {
  const index = join(hub, 'model.safetensors.index.json');
  writeFileSync(index, JSON.stringify({ weight_map: { 'wte.weight': 'model-99.safetensors' } }));
  const { status, stderr } = await run('train.ts', ['--init', hub, '--out', join(folder, 'none')]);
  expect(status).toBe(1);
  expect(stderr).toBe(
    `error: ${hub}/model-99.safetensors: no such file, but model.safetensors.index.json names it\n`,
  );
});
