// The engine's loss and gradients against those that PyTorch gives in float64 for the fixtures of
// test/fixtures/parity, against the float64 reference on random batches, and tools/parity.ts as a user runs it.
//
// Most runs share one device: a process of its own compiles every kernel again, seconds each on the software
// adapter, and the tool does nothing more than `run` below. New tensors are poisoned with NaN.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Batch } from '../../src/data/batch.ts';
import { UserError } from '../../src/errors.ts';
import { parseBatch, relativeError } from '../../src/eval/parity.ts';
import { type ModelConfig, parseConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { latentLoss, type Window } from '../../src/model/latent.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { Tape } from '../../src/tape.ts';
import { read } from '../../src/tensor.ts';
import { testGpu } from '../device.ts';
import { referenceConfig } from '../reference/engine.ts';
import {
  type Fixture,
  latentCounts,
  parityFixtures,
  readBatch,
  readModel,
  worstError,
} from '../reference/fixtures.ts';
import { lossAndGrads, parameterShapes, type ReferenceBatch, type Weights } from '../reference/model.ts';
import { type RowPlan, randomBatch, randomModel, uniform } from '../reference/random.ts';
import { readSafetensors } from '../reference/safetensors.ts';

/** Of a tensor's largest entry. PyTorch in float32 is within 2e-6 of float64 on these fixtures. */
const TOLERANCE = 2e-4;

const root = join(import.meta.dirname, '..', '..');
const gpu = await testGpu();

/** `loss` and `grad.<name>` of one forward and backward pass, as tools/parity.ts writes them. */
async function run(config: ModelConfig, weights: Weights, batch: Batch, window: Window): Promise<Weights> {
  const parameters = new Parameters(gpu, config);
  const gradients = new Parameters(gpu, config);
  try {
    parameters.load(new Map([...weights].map(([name, values]) => [name, Float32Array.from(values)])));
    const tape = new Tape(gpu);
    for (const name of parameters.names()) tape.watch(parameters.get(name), gradients.get(name));
    const { loss, release } = latentLoss(tape, new Gpt(parameters), batch, { window });
    tape.backward(loss);
    release();
    const out: Weights = new Map([['loss', Float64Array.from(await read(loss))]]);
    loss.free();
    for (const [name, values] of await gradients.values()) out.set('grad.' + name, Float64Array.from(values));
    return out;
  } finally {
    parameters.free();
    gradients.free();
  }
}

const windowOf = (name: string): Window => (name === 'full' ? 'full' : Number(name));

function runFixture(fixture: Fixture, window: Window): Promise<Weights> {
  const { config, weights } = readModel(fixture);
  const batch = parseBatch(readFileSync(fixture.batch, 'utf8'), fixture.batch, config.latent_token_id);
  const path = join(fixture.model, 'config.json');
  return run(parseConfig(readFileSync(path, 'utf8'), path), weights, batch, window);
}

const fixtures = parityFixtures();
const named = (name: string) => fixtures.find(fixture => fixture.name === name)!;
const latentsOf = (fixture: Fixture) => latentCounts(readModel(fixture), readBatch(fixture));

describe('against PyTorch in float64', () => {
  const cases = fixtures.flatMap(fixture =>
    [...fixture.expected].map(([window, file]) => ({ name: fixture.name, fixture, window, file })),
  );
  test.each(cases)('$name, window $window', async ({ fixture, window, file }) => {
    const before = gpu.pool.memory.live;
    const actual = await runFixture(fixture, windowOf(window));
    const expected = readSafetensors(file);
    expect([...actual.keys()]).toEqual([...expected.keys()]);
    const worst = worstError(actual, expected);
    expect(worst.error, worst.name).toBeLessThan(TOLERANCE);
    expect(gpu.pool.memory.live).toBe(before);
  });
});

test('what is no finite number on either side is infinitely far', () => {
  const [one, nan] = [Float32Array.of(1, 2), Float32Array.of(1, Number.NaN)];
  expect(relativeError(one, Float32Array.of(1, 4))).toBe(0.5);
  for (const other of [nan, Float32Array.of(1, Number.POSITIVE_INFINITY)]) {
    expect(relativeError(one, other)).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError(other, one)).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError(other, other)).toBe(Number.POSITIVE_INFINITY);
  }
});

describe('windows', () => {
  const recurrent = fixtures.filter(
    fixture => new Set(latentsOf(fixture)).size === 1 && latentsOf(fixture)[0]! > 0,
  );
  test.each(recurrent)(
    '$name: as many latents or more equals full bit for bit, run after run',
    async fixture => {
      const n = latentsOf(fixture)[0]!;
      const full = await runFixture(fixture, 'full');
      for (const window of ['full', n, n + 3] as const) {
        expect(await runFixture(fixture, window), `window ${window}`).toEqual(full);
      }
    },
  );

  test('a batch without latents takes any window', async () => {
    expect(await runFixture(named('odd/none'), 1)).toEqual(await runFixture(named('odd/none'), 'full'));
  });

  test('a finite window refuses unequal latent counts and leaves nothing behind', async () => {
    const before = gpu.pool.memory.live;
    await expect(runFixture(named('odd/mixed'), 2)).rejects.toThrow(UserError);
    expect(gpu.pool.memory.live).toBe(before);
  });
});

describe('against the float64 reference', () => {
  // One width throughout: shapes of rows are what varies here, and a new head width compiles new kernels.
  const path = 'config.json';
  const json = {
    n_layer: 2,
    n_embd: 24,
    n_head: 3,
    vocab_size: 11,
    n_positions: 40,
    latent_token_id: 4,
  };
  const tied = parseConfig(JSON.stringify(json), path);
  const untied = parseConfig(JSON.stringify({ ...json, tie_word_embeddings: false }), path);
  const rows = (latents: fc.Arbitrary<number>, count = { minLength: 1, maxLength: 5 }) =>
    fc.array(
      fc.record({ question: fc.integer({ min: 0, max: 9 }), latents, text: fc.integer({ min: 1, max: 9 }) }),
      count,
    );

  async function check(plan: RowPlan[], seed: number, window: Window, config = tied): Promise<void> {
    const random = uniform(seed);
    const model = randomModel(referenceConfig(config), random);
    const batch: ReferenceBatch = randomBatch(model.config, plan, random);
    const { loss, grads } = lossAndGrads(model, batch, window);
    const expected = new Map([['loss', { dtype: 'F64', shape: [1], data: Float64Array.of(loss) }]]);
    for (const [name, shape] of parameterShapes(model.config))
      expected.set('grad.' + name, {
        dtype: 'F64',
        shape: [...shape],
        data: Float64Array.from(grads.get(name)!),
      });
    const engineBatch = parseBatch(JSON.stringify(batch), 'batch.json', model.config.latent_token_id);
    const worst = worstError(await run(config, model.weights, engineBatch, window), expected);
    expect(worst.error, worst.name).toBeLessThan(TOLERANCE);
  }

  test('mixed latent counts, full', async () => {
    const mixed = rows(fc.integer({ min: 0, max: 5 }));
    const property = fc.asyncProperty(mixed, fc.nat(), (plan, seed) => check(plan, seed, 'full'));
    await fc.assert(property, { seed: 1, numRuns: 15 });
  });

  test('a head with weights of its own', async () => {
    const mixed = rows(fc.integer({ min: 0, max: 5 }));
    const property = fc.asyncProperty(mixed, fc.nat(), (plan, seed) => check(plan, seed, 'full', untied));
    await fc.assert(property, { seed: 5, numRuns: 6 });
  });

  test('equal latent counts, any window', async () => {
    const plans = fc.integer({ min: 0, max: 6 }).chain(n => rows(fc.constant(n)));
    const property = fc.asyncProperty(plans, fc.integer({ min: 1, max: 6 }), fc.nat(), (plan, window, seed) =>
      check(plan, seed, window),
    );
    await fc.assert(property, { seed: 2, numRuns: 15 });
  });

  // Eight rows of width 24 are 768 bytes: a pass may be bound wherever it lies, so nothing is copied to its place.
  test('eight rows, whose passes write to their places', async () => {
    const eight = { minLength: 8, maxLength: 8 };
    const mixed = fc.asyncProperty(rows(fc.integer({ min: 0, max: 5 }), eight), fc.nat(), (plan, seed) =>
      check(plan, seed, 'full'),
    );
    await fc.assert(mixed, { seed: 3, numRuns: 4 });
    const plans = fc.integer({ min: 2, max: 6 }).chain(n => rows(fc.constant(n), eight));
    const equal = fc.asyncProperty(plans, fc.integer({ min: 1, max: 6 }), fc.nat(), (plan, window, seed) =>
      check(plan, seed, window),
    );
    await fc.assert(equal, { seed: 4, numRuns: 6 });
  });
});

describe('tools/parity.ts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parity-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function tool(fixture: Fixture, window: string, out: string, batch = fixture.batch) {
    const flags = ['--model', fixture.model, '--batch', batch, '--bptt', window, '--out', out];
    const script = join(root, 'tools', 'parity.ts');
    return spawnSync(process.execPath, [script, ...flags], { cwd: root, encoding: 'utf8' });
  }

  test('writes loss and every gradient under its name, F32, as computed above', async () => {
    const fixture = named('single/five');
    const out = join(folder, 'out.safetensors');
    const child = tool(fixture, '2', out);
    expect(child.status, child.stderr).toBe(0);
    const actual = readSafetensors(out);
    const shapes = [...parameterShapes(readModel(fixture).config)];
    expect([...actual].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['loss', 'F32', [1]],
      ...shapes.map(([name, shape]) => ['grad.' + name, 'F32', shape]),
    ]);
    const values = new Map([...actual].map(([name, { data }]) => [name, data]));
    expect(values).toEqual(await runFixture(fixture, 2));
  });

  const compared = (fixture: Fixture, expected: string) =>
    spawnSync(
      process.execPath,
      [
        join(root, 'tools', 'parity.ts'),
        ...['--model', fixture.model, '--batch', fixture.batch, '--bptt', '2', '--expect', expected],
      ],
      { cwd: root, encoding: 'utf8' },
    );

  test('compares with what is expected, and says what is worst', () => {
    const fixture = named('single/five');
    const good = compared(fixture, fixture.expected.get('2')!);
    expect(good.status, good.stderr).toBe(0);
    expect(good.stdout).toMatch(/worst relative error [\d.]+e-[567], of grad\./);
    expect(good.stdout).toMatch(/ at most on the device/);
    const otherWindow = compared(fixture, fixture.expected.get('full')!);
    expect(otherWindow.status).toBe(1);
    expect(otherWindow.stderr).toMatch(
      /^error: .*full\.safetensors: worst relative error .* over 0\.0002\n$/,
    );
    const otherModel = compared(fixture, named('odd/none').expected.get('full')!);
    expect(otherModel.stderr).toMatch(/^error: .*: grad\.\S+ has shape \[37,24\], expected \[29,10\]\n$/);
  });

  const out = join(folder, 'refused.safetensors');
  const nowhere = join(folder, 'nowhere.json');
  const mixed = named('odd/mixed');
  const refusals: [string, () => ReturnType<typeof tool>, RegExp][] = [
    ['a finite window with unequal latent counts', () => tool(mixed, '2', out), /--bptt 2 .*latents/],
    ['--bptt 0', () => tool(mixed, '0', out), /--bptt/],
    ['--bptt -3', () => tool(mixed, '-3', out), /--bptt/],
    ['--bptt x', () => tool(mixed, 'x', out), /--bptt/],
    ['--bptt 1.5', () => tool(mixed, '1.5', out), /--bptt/],
    ['nothing to do', () => compared(mixed, ''), /--expect/],
    ['a missing batch', () => tool(mixed, 'full', out, nowhere), /nowhere\.json/],
  ];
  test.each(refusals)('refuses %s in one line and writes nothing', (_, call, mentions) => {
    const { status, stderr } = call();
    expect(status).not.toBe(0);
    expect(status).not.toBeNull(); // killed by a signal
    expect(stderr.trim()).toMatch(/^error: [^\n]*$/);
    expect(stderr).toMatch(mentions);
    expect(existsSync(out)).toBe(false);
  });
});
