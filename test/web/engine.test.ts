// The page's engine on a device of Node: memory that is full, and the tokens that its two ways of asking count.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { CONTROLS } from '../../src/eval/control.ts';
import { GpuOutOfMemoryError } from '../../src/gpu/errors.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { MODEL_FILES, readModel, storedTensors } from '../../src/model/folder.ts';
import { encodeSafetensors } from '../../src/model/safetensors.ts';
import { nodeFiles } from '../../src/platform/files.ts';
import { openNodeGpu } from '../../src/platform/node.ts';
import { Engine } from '../../src/web/engine/engine.ts';
import type { ModelBytes } from '../../src/web/engine/protocol.ts';
import { drawSample } from '../../src/web/question/draw.ts';

const MODELS = fileURLToPath(new URL('../../src/web/public/models', import.meta.url));
const [sample, other] = [0, 1].map(i => drawSample({ task: 'prosqa-mini', nodes: 12, hops: 3 }, i));
const question = { sample: sample!, solvable: true };

function bytesOf(model: string): ModelBytes {
  const read = (name: string): Buffer => readFileSync(join(MODELS, model, name));
  return {
    config: read(MODEL_FILES.config).toString(),
    weights: new Uint8Array(read(MODEL_FILES.weights)),
    tokenizer: read(MODEL_FILES.tokenizer).toString(),
  };
}

/** A model of the page with room for longer rows, or with nothing but zeros for weights. */
async function changed(model: string, { positions = 64, zeroed = false }): Promise<ModelBytes> {
  const files = await readModel(nodeFiles, join(MODELS, model));
  const weights = new Map(
    [...files.weights].map(([name, data]) => {
      const isPositions = name.endsWith('wpe.weight');
      const values = new Float32Array(isPositions ? positions * files.config.width : data.length);
      if (!zeroed) values.set(data);
      return [name, values];
    }),
  );
  const bytes = bytesOf(model);
  const config = JSON.stringify({ ...JSON.parse(bytes.config), n_positions: positions, n_ctx: positions });
  const stored = storedTensors({ ...files.config, positions }, weights);
  return { ...bytes, config, weights: encodeSafetensors(stored) };
}

/** Lets the device report, as a real one does, some time after the buffer was made, that it did not fit into `most` bytes. */
function withMemory(gpu: Gpu, most: number): Gpu {
  const { device } = gpu;
  const create = device.createBuffer.bind(device);
  const pop = device.popErrorScope.bind(device);
  let left = most;
  device.createBuffer = what => {
    left -= what.size;
    return create(what);
  };
  device.popErrorScope = async () => {
    const full = left < 0;
    return (await pop()) ?? (full ? outOfMemory() : null);
  };
  return gpu;
}

function outOfMemory(): GPUOutOfMemoryError {
  return Object.create(GPUOutOfMemoryError.prototype, { message: { value: 'no memory left' } });
}

const closes: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closes) await close();
});

/** An engine whose devices have `memory` bytes each; after so many of them there is no other. */
function engineOfTest({ memory = Number.POSITIVE_INFINITY, devices = Number.POSITIVE_INFINITY } = {}) {
  const opened: Gpu[] = [];
  const lost: string[] = [];
  const engine = new Engine(
    async () => {
      if (opened.length === devices) throw new UserError('no adapter');
      const { gpu, close } = await openNodeGpu('auto', { poison: true });
      closes.push(close);
      opened.push(gpu);
      return withMemory(gpu, memory);
    },
    message => lost.push(message),
  );
  return { engine, opened, lost };
}

describe('a device whose memory is full', () => {
  const ask = (engine: Engine, model: string) =>
    engine.ask({ model, question, control: 'none', other: other! });
  const fill = ({ gpu }: Engine): void => {
    gpu!.device.dispatchEvent(Object.assign(new Event('uncapturederror'), { error: outOfMemory() }));
  };

  it('refuses the model that does not fit, keeps those before, and takes a smaller one', async () => {
    const { engine, opened, lost } = engineOfTest({ memory: 2 ** 23 });
    await engine.open();
    await engine.load({ name: 'small', bytes: bytesOf('no-cot') });
    const before = await ask(engine, 'small');
    // Fifteen MB of positions.
    const large = await changed('no-cot', { positions: 40_000 });
    for (const name of ['large', 'small'])
      await expect(engine.load({ name, bytes: large })).rejects.toThrow(GpuOutOfMemoryError);
    expect((await ask(engine, 'small')).columns).toEqual(before.columns);
    await expect(ask(engine, 'large')).rejects.toThrow('large: no such model is loaded');
    await engine.load({ name: 'other', bytes: bytesOf('no-cot') });
    expect((await ask(engine, 'other')).columns).toEqual(before.columns);
    expect(opened).toHaveLength(3);
    expect(lost).toEqual([]);
  });

  it('fails the question that filled it, and no other', async () => {
    const { engine, lost } = engineOfTest();
    await engine.open();
    await engine.load({ name: 'small', bytes: bytesOf('no-cot') });
    fill(engine);
    const scored = engine.score({ model: 'small', samples: [sample!], control: 'none' });
    await expect(scored).rejects.toThrow(GpuOutOfMemoryError);
    await expect(ask(engine, 'small')).resolves.toMatchObject({ written: 3 });
    expect(lost).toEqual([]);
  });

  it('counts as lost where no other can be opened', async () => {
    const { engine, lost } = engineOfTest({ devices: 1 });
    await engine.open();
    await engine.load({ name: 'small', bytes: bytesOf('no-cot') });
    fill(engine);
    await expect(ask(engine, 'small')).rejects.toThrow(GpuOutOfMemoryError);
    expect(lost).toEqual(['no adapter']);
    await expect(ask(engine, 'small')).rejects.toThrow('there is no device');
  });
});

describe('the tokens of an answer and of a run', () => {
  const { engine } = engineOfTest();

  it.each(['coconut', 'endless'])('are as many, whatever is done to the thoughts: %s', async name => {
    if (!engine.gpu) await engine.open();
    // Without weights every token is the first one, and no row ends.
    const bytes = name === 'endless' ? await changed('coconut', { zeroed: true }) : bytesOf(name);
    await engine.load({ name, bytes });
    for (const control of CONTROLS) {
      const ask = (one = sample!, two = other!) =>
        engine.ask({ model: name, question: { sample: one, solvable: true }, control, other: two });
      const first = await ask();
      // Shuffling takes two questions, and each has the other's thoughts.
      const replies = control === 'shuffle' ? [first, await ask(other, sample)] : [first];
      const samples = control === 'shuffle' ? [sample!, other!] : [sample!];
      const { tokens } = await engine.score({ model: name, samples, control });
      expect(
        replies.reduce((sum, { written, thoughts }) => sum + written + thoughts.length, 0),
        control,
      ).toBe(tokens);
      const writes = first.columns.filter(({ kind }) => kind === 'written').length;
      const given = control === 'no-latent' ? 1 : 0;
      const ends = name === 'endless' ? 0 : 1;
      expect(first.written, control).toBe(writes - given + ends);
    }
  });
});
