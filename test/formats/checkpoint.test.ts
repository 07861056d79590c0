import { describe, expect, it } from 'vitest';
import { elements, parameterShapes, parseConfig } from '../../src/model/config.ts';
import { readModel, writeModel } from '../../src/model/folder.ts';
import { encodeSafetensors } from '../../src/model/safetensors.ts';
import { stepHeadShapes } from '../../src/model/step-head.ts';
import { newestCheckpointFolder } from '../../src/train/arms.ts';
import {
  type Checkpoint,
  latestCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from '../../src/train/checkpoint.ts';
import { resolveOptions } from '../../src/train/options.ts';
import { decodeSafetensors } from './decode.ts';
import { userError } from './expect-error.ts';
import { memoryFiles } from './memory-files.ts';

const config = parseConfig(
  '{"vocab_size":5,"n_positions":4,"n_embd":4,"n_layer":1,"n_head":2,"latent_token_id":3}',
  'c',
);
const arrays = (start: number) =>
  new Map(
    parameterShapes(config).map(([name, shape], i) => [
      name,
      Float32Array.from({ length: elements(shape) }, (_, j) => Math.fround(start + i + j / 7)),
    ]),
  );

async function checkpoint(step: number): Promise<Checkpoint> {
  const resolved = await resolveOptions(['--preset', 'smoke', '--compare'], async () => '');
  if ('help' in resolved) throw new Error('unexpected help');
  return {
    config,
    weights: arrays(0),
    tokenizer: '{"model": {}}\n',
    moments: { m: arrays(100), v: arrays(1e-9) },
    extra: [],
    trainer: {
      arm: 'coconut',
      step,
      samples: 16 * step,
      stage: 1,
      stageStep: 7,
      optimizerStep: 7,
      bestAccuracy: 0.75,
      lastAccuracy: null,
      seconds: 1.5,
      finished: [],
      tuned: { adapter: 'some adapter', choices: { 'matmul 16x16x16 NN fours': 'tiled-16x16' } },
      options: resolved.options,
    },
  };
}

describe('the newest of a run', () => {
  const run = async (...folders: [dir: string, step: number, compare: boolean][]) => {
    const files = memoryFiles();
    for (const [dir, step, compare] of folders) {
      const saved = await checkpoint(step);
      const options = { ...saved.trainer.options, compare };
      await writeCheckpoint(files, dir, { ...saved, trainer: { ...saved.trainer, options } });
    }
    return newestCheckpointFolder('run', files, '--resume');
  };

  it('is that of its last model, and of no other run in a folder of such a name', async () => {
    expect(await run(['run', 40, true], ['run/cot', 8, true])).toBe('run/cot/checkpoints/8');
    expect(await run(['run', 40, true])).toBe('run/checkpoints/40');
    expect(await run(['run', 40, false], ['run/cot', 8, false])).toBe('run/checkpoints/40');
  });
});

describe('checkpoint', () => {
  it('comes back whole and bit for bit', async () => {
    const entries = new Map<string, Uint8Array>();
    const files = memoryFiles(entries);
    const saved = await checkpoint(120);
    const dir = await writeCheckpoint(files, 'run', saved);
    expect(dir).toBe('run/checkpoints/120');
    expect(await files.list(dir)).toEqual([
      'config.json',
      'model.safetensors',
      'optimizer.safetensors',
      'tokenizer.json',
      'trainer.json',
    ]);
    expect(await readCheckpoint(files, dir)).toEqual(saved);
    const first = new Map(entries);
    await writeCheckpoint(files, 'run', await readCheckpoint(files, dir));
    expect(entries).toEqual(first);
  });

  it('keeps a loss scale in every digit of float32, and refuses one that is none', async () => {
    const files = memoryFiles();
    const plain = await checkpoint(3);
    const correction1 = Math.fround(0.1 + 0.09);
    const lossScale = { scale: 2 ** 15, row: 12, skipped: 1, correction1, correction2: Math.fround(1e-3) };
    const saved = { ...plain, trainer: { ...plain.trainer, lossScale } };
    const dir = await writeCheckpoint(files, 'run', saved);
    expect(await readCheckpoint(files, dir)).toEqual(saved);
    const path = `${dir}/trainer.json`;
    const text = await files.readText(path);
    await files.writeAtomic(path, text.replace('"skipped": 1', '"skipped": -1'));
    expect(await userError(() => readCheckpoint(files, dir))).toBe(
      `${path} (lossScale): "skipped" must be a number of at least 0, got -1`,
    );
  });

  it('keeps what is trained beside the model out of the model, with its moments', async () => {
    const files = memoryFiles();
    const plain = await checkpoint(3);
    const extra = stepHeadShapes(config, 2);
    const beside = (start: number): [string, Float32Array][] =>
      extra.map(([name, shape], i) => [name, new Float32Array(elements(shape)).fill(start + i)]);
    const saved: Checkpoint = {
      ...plain,
      weights: new Map([...plain.weights, ...beside(1)]),
      moments: {
        m: new Map([...plain.moments.m, ...beside(0.1)]),
        v: new Map([...plain.moments.v, ...beside(0.01)]),
      },
      extra,
    };
    const dir = await writeCheckpoint(files, 'run', saved);
    expect(await readCheckpoint(files, dir)).toEqual(saved);
    expect(await readModel(files, dir)).toEqual({
      config,
      weights: plain.weights,
      tokenizer: plain.tokenizer,
    });
  });

  it('writes a model folder that a hub reader knows: three files, metadata format pt', async () => {
    const files = memoryFiles();
    const { weights, tokenizer } = await checkpoint(1);
    await writeModel(files, 'run/final', { config, weights, tokenizer });
    expect(await files.list('run/final')).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    const bytes = await files.read('run/final/model.safetensors');
    expect((await decodeSafetensors(bytes, 'm')).metadata).toEqual({ format: 'pt' });
    expect(await readModel(files, 'run/final')).toEqual({ config, weights, tokenizer });
  });

  it('finds the newest by number and passes over what a killed run left', async () => {
    const entries = new Map<string, Uint8Array>();
    const files = memoryFiles(entries);
    expect(await userError(() => latestCheckpoint(files, 'run'))).toBe('run: no such folder');
    await files.writeAtomic('run/metrics.jsonl', '');
    expect(await latestCheckpoint(files, 'run')).toBeUndefined();
    for (const step of [60, 120, 1000]) await writeCheckpoint(files, 'run', await checkpoint(step));
    entries.set('run/checkpoints/2000.partial/config.json', new Uint8Array());
    expect(await latestCheckpoint(files, 'run')).toBe('run/checkpoints/1000');
  });

  const damage = async (name: string, content: Uint8Array | string | undefined) => {
    const files = memoryFiles();
    const dir = await writeCheckpoint(files, 'run', await checkpoint(1));
    if (content === undefined) await files.remove(`${dir}/${name}`);
    else await files.writeAtomic(`${dir}/${name}`, content);
    return userError(() => readCheckpoint(files, dir));
  };

  it('names the file at fault', async () => {
    const dir = 'run/checkpoints/1';
    expect(await userError(() => readCheckpoint(memoryFiles(), dir))).toBe(`${dir}: no such folder`);
    expect(await damage('trainer.json', undefined)).toBe(`${dir}/trainer.json: no such file or folder`);
    expect(await damage('trainer.json', '{')).toMatch(`${dir}/trainer.json: not valid JSON`);
    expect(await damage('trainer.json', '[]')).toBe(`${dir}/trainer.json: expected a JSON object, got []`);
    expect(await damage('trainer.json', '{"format": 99}')).toBe(
      `${dir}/trainer.json: format 99, this version reads 1`,
    );
    expect(await damage('trainer.json', '{"format": 1, "options": {"lr": "x"}}')).toBe(
      `${dir}/trainer.json (options): "lr" must be a number above 0, got "x"`,
    );
    expect(await damage('trainer.json', '{"format": 1, "options": {}, "arm": "x"}')).toBe(
      `${dir}/trainer.json: unknown arm "x"`,
    );
    expect(
      await damage('trainer.json', '{"format":1,"options":{},"arm":"cot","finished":[],"step":-1}'),
    ).toBe(`${dir}/trainer.json: "step" must be a number of at least 0, got -1`);
    expect(await damage('model.safetensors', 'garbage')).toMatch(
      `${dir}/model.safetensors: not a safetensors file`,
    );
    expect(await damage('config.json', '{"vocab_size"')).toMatch(`${dir}/config.json: not valid JSON`);
    expect(await damage('optimizer.safetensors', encodeSafetensors([]))).toBe(
      `${dir}/optimizer.safetensors: holds no tensors called m.…`,
    );
  });

  it('knows the kernel variants of a run, if any, and only such as exist', async () => {
    const files = memoryFiles();
    const dir = await writeCheckpoint(files, 'run', await checkpoint(1));
    const json = JSON.parse(await files.readText(`${dir}/trainer.json`));
    const tunedOf = async (tuned: unknown) => {
      await files.writeAtomic(`${dir}/trainer.json`, JSON.stringify({ ...json, tuned }));
      return (await readCheckpoint(files, dir)).trainer.tuned;
    };
    expect(await tunedOf(null)).toBeNull();
    expect(await tunedOf(undefined)).toBeNull(); // from before there was a tuner
    for (const tuned of [
      [],
      'x',
      { adapter: 1, choices: {} },
      { adapter: 'a', choices: { 'matmul x': 'tiled-0x0' } },
    ])
      expect(await userError(() => tunedOf(tuned))).toMatch(
        /^run\/checkpoints\/1\/trainer\.json: "tuned" must name an adapter and kernel variants that exist, got /,
      );
  });
});
