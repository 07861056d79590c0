// The tuner in a run: what is remembered between runs, what is not believed, and what a resumed run takes over.
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import type { Cache } from '../../src/files.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { product } from '../../src/ops/product.ts';
import { readShaders } from '../../src/platform/node.ts';
import { read, type Tensor, upload } from '../../src/tensor.ts';
import { type TuneMode, Tuning } from '../../src/train/tuning.ts';
import { gpuOfTest } from '../gpu/kernels.ts';
import { seeded } from '../numbers.ts';

/** Kept in a map; `fault` is thrown by what it names. */
function memoryCache(fault?: 'read' | 'write') {
  const texts = new Map<string, string>();
  const fail = (what: string): void => {
    if (fault === what) throw new UserError(`cache/tuning: no permission to ${what}`);
  };
  const cache: Cache = {
    place: () => 'cache/tuning',
    async read(name) {
      fail('read');
      return texts.get(name);
    },
    async write(name, text) {
      fail('write');
      texts.set(name, text);
    },
  };
  return { cache, texts };
}

/** x·x for x [n, n]: each n is a class of its own. */
function square(gpu: Gpu, n: number): Tensor {
  const x = upload(gpu, Float32Array.from({ length: n * n }, seeded(n)), [n, n]);
  const y = upload(gpu, new Float32Array(n * n), [n, n]);
  const X = { matrix: x, transposed: false };
  product(gpu, X, X, { tensor: y, beta: 0 });
  x.free();
  return y;
}

/** A run that asks for classes, with an effort that settles them at their defaults unless told otherwise. */
async function tuned(gpu: Gpu, mode: TuneMode, cache: Cache, sizes: readonly number[], steps = 0) {
  const lines: string[] = [];
  const effort = { budgetMs: 30_000, steps, margin: 0, rounds: 1 };
  const tuning = new Tuning(gpu, { mode, cache, effort, say: line => lines.push(line) });
  let rehearsals = 0;
  await tuning.prepare(async () => {
    rehearsals++;
    tuning.weigh(1);
    for (const n of sizes) square(gpu, n).free();
  });
  return { tuning, lines, rehearsals };
}

const choicesOf = ({ tuning }: { tuning: Tuning }) => Object.keys(tuning.tuned?.choices ?? {});

describe('tuning', () => {
  it('off rehearses once, and neither measures nor reads anything', async () => {
    const gpu = await gpuOfTest();
    const { cache } = memoryCache('read');
    const { tuning, lines, rehearsals } = await tuned(gpu, 'off', cache, [16]);
    expect([tuning.tuned, lines, rehearsals]).toEqual([null, [], 1]);
    expect(gpu.choices.open).toEqual([]);
  });

  it('measures what is not remembered, and remembers it', async () => {
    const { cache, texts } = memoryCache();
    const first = await tuned(await gpuOfTest(), 'quick', cache, [16, 32]);
    expect(first.lines).toEqual([
      expect.stringMatching(
        /^tuning quick: 2 classes of matrix products, 0 remembered, 2 measured in [\d.]+ s; no default changed$/,
      ),
    ]);
    expect(first.rehearsals).toBe(2); // What was chosen is compiled before the first step.
    const second = await tuned(await gpuOfTest(), 'quick', cache, [16, 32, 64]);
    expect(second.lines[0]).toMatch(/^tuning quick: 3 classes .* 2 remembered, 1 measured in /);
    const third = await tuned(await gpuOfTest(), 'quick', cache, [64]);
    expect(third.lines).toEqual(['tuning quick: 1 class of matrix products, all remembered']);
    expect(third.rehearsals).toBe(1);
    // A run keeps what it asked for, and the memory what all runs did.
    expect(choicesOf(third)).toEqual(['matmul 64x64x64 NN fours']);
    expect(Object.keys(JSON.parse([...texts.values()][0]!).quick)).toHaveLength(3);
  });

  it('full does not take over what a quick one settled, but a quick one what a full one did', async () => {
    const { cache } = memoryCache();
    await tuned(await gpuOfTest(), 'quick', cache, [16]);
    const full = await tuned(await gpuOfTest(), 'full', cache, [16]);
    expect(full.lines[0]).toMatch(/^tuning full: 1 class .* 0 remembered, 1 measured in /);
    const other = memoryCache();
    await tuned(await gpuOfTest(), 'full', other.cache, [16]);
    const quick = await tuned(await gpuOfTest(), 'quick', other.cache, [16]);
    expect(quick.lines).toEqual(['tuning quick: 1 class of matrix products, all remembered']);
  });

  it('does not believe a memory of something else, and replaces it', async () => {
    const gpu = await gpuOfTest();
    const { cache, texts } = memoryCache();
    await tuned(gpu, 'quick', cache, [16]);
    const [[name, good]] = [...texts] as [[string, string]];
    expect(name).toMatch(/^tuning-[a-z0-9-]+\.json$/);
    const json = JSON.parse(good);
    const bad: [string, string][] = [
      ['', 'the file is empty, expected JSON'],
      [good.slice(0, 90), 'not valid JSON: '],
      ['[]', 'expected a JSON object, got []'],
      [JSON.stringify({ ...json, format: 2 }), 'format 2, this version reads 1'],
      [JSON.stringify({ ...json, adapter: 'x' }), 'measured on another adapter, "x"'],
      [JSON.stringify({ ...json, kernels: 'x' }), 'measured with other kernels than there are now'],
      [JSON.stringify({ ...json, quick: { 'matmul x': 'tiled-0x0' } }), 'names variants that do not exist'],
      [JSON.stringify({ ...json, full: null }), 'names variants that do not exist'],
    ];
    for (const [text, why] of bad) {
      texts.set(name, text);
      const { lines } = await tuned(await gpuOfTest(), 'quick', cache, [16]);
      expect(lines).toEqual([
        expect.stringContaining(`tuning: cache/tuning: ${why}`),
        expect.stringContaining(' 0 remembered, 1 measured in '),
      ]);
      expect(lines[0]).toMatch(/; measured again$/);
      expect(texts.get(name)).toBe(good);
    }
  });

  it('holds for the texts of the kernels', async () => {
    const { cache } = memoryCache();
    await tuned(await gpuOfTest(), 'quick', cache, [16]);
    const tiled = readShaders().get('matmul-tiled')!;
    const changed = await gpuOfTest({}, { 'matmul-tiled': `${tiled}// changed\n` });
    const { lines } = await tuned(changed, 'quick', cache, [16]);
    expect(lines[0]).toBe(
      'tuning: cache/tuning: measured with other kernels than there are now; measured again',
    );
  });

  it('goes on where its memory can be neither read nor written', async () => {
    const unreadable = await tuned(await gpuOfTest(), 'quick', memoryCache('read').cache, [16]);
    expect(unreadable.lines[0]).toBe('tuning: cache/tuning: no permission to read; measured again');
    expect(choicesOf(unreadable)).toHaveLength(1);
    const unwritable = await tuned(await gpuOfTest(), 'quick', memoryCache('write').cache, [16]);
    expect(unwritable.lines[1]).toBe(
      'tuning: the choices are not remembered: cache/tuning: no permission to write',
    );
    expect(choicesOf(unwritable)).toHaveLength(1);
  });
});

describe('pinned choices', () => {
  const CHOICES = { 'matmul 64x64x64 NN fours': 'tiled-16x16', 'matmul 16x16x16 NN fours': 'tiled-32x32' };

  it('are those of the checkpoint and no others, whatever is remembered', async () => {
    const { cache } = memoryCache();
    const { adapter } = (await tuned(await gpuOfTest(), 'quick', cache, [16, 32, 64])).tuning.tuned!;
    const gpu = await gpuOfTest();
    const lines: string[] = [];
    const tuning = new Tuning(gpu, { mode: 'quick', cache, say: line => lines.push(line) });
    tuning.pin({ adapter, choices: CHOICES });
    const labels: string[] = [];
    const create = gpu.device.createComputePipeline.bind(gpu.device);
    gpu.device.createComputePipeline = descriptor => {
      labels.push(descriptor.label!);
      return create(descriptor);
    };
    for (const n of [16, 32, 64]) await read(square(gpu, n));
    expect(labels.filter(label => label.startsWith('matmul-tiled'))).toEqual([
      expect.stringContaining('RM=2,RN=2'),
      expect.stringContaining('RM=1,RN=1'),
    ]);
    expect(tuning.tuned).toEqual({ adapter, choices: CHOICES });
    expect(lines).toEqual(['tuning: 2 choices from the checkpoint']);
  });

  it('of another adapter are left alone', async () => {
    const gpu = await gpuOfTest();
    const lines: string[] = [];
    const say = (line: string) => lines.push(line);
    const tuning = new Tuning(gpu, { mode: 'quick', cache: memoryCache().cache, say });
    tuning.pin({ adapter: 'another', choices: CHOICES });
    tuning.pin(null);
    expect(tuning.tuned).toBeNull();
    expect(lines).toEqual([
      'tuning: the 2 choices of this run were measured on another: the defaults run here',
    ]);
  });
});
