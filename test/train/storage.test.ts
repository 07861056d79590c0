// Training with activations stored as f16: near to f32, the same bits again and after a checkpoint, and a loss scale
// that backs off from an overflow without a step.
import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/data/batch.ts';
import { UserError } from '../../src/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import type { LossScale } from '../../src/ops/loss-scale.ts';
import { type FloatType, read } from '../../src/tensor.ts';
import { checkAdapter } from '../../src/train/option-checks.ts';
import { Learner } from '../../src/train/step.ts';
import { testGpu } from '../device.ts';
import { relativeError, seeded } from '../numbers.ts';

const LATENT = 5;
const config: ModelConfig = {
  vocabSize: 19,
  positions: 24,
  width: 20,
  layers: 2,
  heads: 5,
  inner: 80,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: 2,
  padTokenId: 0,
  latentTokenId: LATENT,
  startLatentId: 3,
  endLatentId: 4,
  reasoning: undefined,
};
const gpu = await testGpu();

const random = seeded(3);
const rows = Array.from({ length: 7 }, (_, i): Row => {
  const word = (): number => 6 + Math.floor(random() * 13);
  const question = Array.from({ length: 3 + (i % 4) }, word);
  const prompt = [...question, LATENT, LATENT, 4];
  const text = [word(), 2];
  return {
    tokens: [...prompt, ...text],
    labels: [...prompt.map(() => -100), ...text],
    latentStart: question.length,
    latents: 2,
  };
});

type Values = ReadonlyMap<string, Float32Array>;

/** What a checkpoint keeps of a learner. */
interface Kept {
  readonly weights: Values;
  readonly m: Values;
  readonly v: Values;
  readonly steps: number;
  readonly scale: LossScale | undefined;
}

/** Takes `steps` steps from the start or from what was kept, and tells their losses, norms and what is then kept. */
async function train(
  steps: number,
  storage: FloatType,
  from?: Kept,
): Promise<{ losses: number[]; norms: number[]; kept: Kept }> {
  const parameters = new Parameters(gpu, config);
  parameters.load(from?.weights ?? initialWeights(config, 'matched', 4));
  const adamw = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, clip: 1 };
  const options = { ...adamw, storage, window: 'full', microBatch: 4, padId: 0 } as const;
  const learner = new Learner(new Gpt(parameters), options);
  const { optimizer } = learner;
  if (from) {
    optimizer.m.load(from.m);
    optimizer.v.load(from.v);
    optimizer.steps = from.steps;
    if (from.scale) optimizer.loadScale(from.scale);
  }
  const losses: number[] = [];
  const norms: number[] = [];
  for (let i = 0; i < steps; i++) {
    const values = learner.step(rows, 1e-2);
    const parts = await Promise.all(values.losses.map(read));
    losses.push(parts.reduce((sum, part) => sum + part[0]!, 0));
    norms.push((await read(values.clip))[0]!);
    for (const tensor of [...values.losses, values.clip]) tensor.free();
  }
  const kept = {
    weights: await parameters.values(),
    m: await optimizer.m.values(),
    v: await optimizer.v.values(),
    steps: optimizer.steps,
    scale: await optimizer.scale(),
  };
  learner.free();
  parameters.free();
  return { losses, norms, kept };
}

it('an adapter without f16 is refused in one line', () => {
  const refused = () => checkAdapter({ storage: 'f16' }, new Set(['subgroups']), 'some adapter');
  expect(refused).toThrow(UserError);
  expect(refused).toThrow(
    /^--storage f16: the adapter some adapter has no shader-f16: train with --storage f32/,
  );
  expect(() => checkAdapter({ storage: 'f32' }, new Set(), 'some adapter')).not.toThrow();
  expect(() => checkAdapter({ storage: 'f16' }, new Set(['shader-f16']), 'some adapter')).not.toThrow();
});

describe.skipIf(!gpu.features.has('shader-f16'))('with f16 (needs an adapter with shader-f16)', () => {
  it('learns as f32 does, and reports the norm of the gradients without the scale', async () => {
    const live = gpu.pool.memory.live;
    const half = await train(6, 'f16');
    const wide = await train(6, 'f32');
    expect(wide.kept.scale).toBeUndefined();
    expect(relativeError(half.losses, wide.losses)).toBeLessThan(5e-3);
    expect(relativeError(half.norms, wide.norms)).toBeLessThan(2e-2);
    expect(half.losses[5]!).toBeLessThan(0.8 * half.losses[0]!);
    expect(half.kept.scale).toMatchObject({ scale: 2 ** 16, row: 6, skipped: 0 });
    expect(gpu.pool.memory.live).toBe(live);
  });

  it('gives the same bits again, and after a checkpoint', async () => {
    const whole = await train(4, 'f16');
    expect(await train(4, 'f16')).toEqual(whole);
    const { kept, losses } = await train(3, 'f16');
    // As trainer.json holds it.
    const scale = JSON.parse(JSON.stringify(kept.scale)) as LossScale;
    const rest = await train(1, 'f16', { ...kept, scale });
    expect([...losses, ...rest.losses]).toEqual(whole.losses);
    expect(rest.kept).toEqual(whole.kept);
  });

  it('backs off from an overflow, which changes neither weights nor moments, until a step can be taken', async () => {
    const { kept } = await train(1, 'f16');
    const from = { ...kept, scale: { ...kept.scale!, scale: 2 ** 24 } };
    const once = await train(1, 'f16', from);
    expect(once.kept.scale).toEqual({ ...from.scale, scale: 2 ** 23, row: 0, skipped: 1 });
    expect(Number.isFinite(once.norms[0])).toBe(false);
    expect(Number.isFinite(once.losses[0])).toBe(true);
    for (const name of ['weights', 'm', 'v'] as const) expect(once.kept[name]).toEqual(from[name]);
    const later = await train(12, 'f16', from);
    const { scale, skipped, row } = later.kept.scale!;
    expect(scale).toBe(2 ** (24 - skipped));
    expect(skipped + row).toBe(12);
    expect(row).toBeGreaterThan(0);
    expect(later.losses[11]!).toBeLessThan(later.losses[0]!);
    // The scale itself leaves no trace: it is a power of two.
    const straight = await train(1, 'f16', { ...kept, scale: { ...kept.scale!, scale } });
    const skippedFirst = await train(skipped + 1, 'f16', from);
    expect(skippedFirst.kept.weights).toEqual(straight.kept.weights);
  });
});
