// Parameters in arenas, and their first values.
import { describe, expect, it } from 'vitest';
import { type ModelConfig, parameterShapes } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/init.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { testGpu } from '../device.ts';

const config: ModelConfig = {
  vocabSize: 37,
  positions: 21,
  width: 24,
  layers: 2,
  heads: 3,
  inner: 50,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: 2,
  padTokenId: 0,
  latentTokenId: 5,
  startLatentId: 3,
  endLatentId: 4,
  reasoning: undefined,
};
const gpu = await testGpu();
const few = await testGpu({ limits: { maxBuffer: 16 * 1024 } });

describe('Parameters', () => {
  it.each([
    ['in one arena', gpu, 1],
    ['in as many as the largest buffer asks for', few, 4],
  ] as const)('keep values %s', async (_, device, arenas) => {
    const parameters = new Parameters(device, config);
    expect(parameters.arenas.length).toBeGreaterThanOrEqual(arenas);
    const values = initialWeights(config, 'matched', 3);
    parameters.load(values);
    expect(await parameters.values()).toEqual(values);
    expect(parameters.names()).toEqual(parameterShapes(config).map(([name]) => name));
    for (const [name, shape] of parameterShapes(config)) expect(parameters.get(name).shape).toEqual(shape);
    parameters.free();
    expect(device.pool.memory.live).toBe(0);
  });

  it('put what decays first', () => {
    const parameters = new Parameters(gpu, config);
    const { decayEnd } = parameters.arenas[0]!;
    for (const [name, shape] of parameterShapes(config))
      expect(parameters.get(name).range.offset / 4 < decayEnd, name).toBe(shape.length > 1);
    parameters.free();
  });

  it('name a parameter that is not there', () => {
    const parameters = new Parameters(gpu, config);
    expect(() => parameters.get('transformer.wat')).toThrow('no parameter transformer.wat');
    expect(() => parameters.load(new Map())).toThrow(/transformer.wte.weight/);
    parameters.free();
  });
});

describe('initialWeights', () => {
  const deviation = (values: Float32Array) =>
    Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
  const large = { ...config, width: 96, heads: 4, inner: 384, vocabSize: 500, positions: 200 };

  it('matched: a token and a fed-back state are equally long, and logits have unit variance', () => {
    const weights = initialWeights(large, 'matched', 0);
    const token = deviation(weights.get('transformer.wte.weight')!);
    // The final LayerNorm's output has its gain as standard deviation.
    expect(weights.get('transformer.ln_f.weight')![0]).toBeCloseTo(token, 2);
    expect(token * 96 ** 0.25).toBeCloseTo(1, 1);
    expect(deviation(weights.get('transformer.h.0.attn.c_attn.weight')!)).toBeCloseTo(96 ** -0.5, 2);
    expect(deviation(weights.get('transformer.h.1.mlp.c_proj.weight')!)).toBeCloseTo(384 ** -0.5 / 2, 3);
  });

  it('gpt2: 0.02 throughout, less where the residual stream is written', () => {
    const weights = initialWeights(large, 'gpt2', 0);
    expect(deviation(weights.get('transformer.wte.weight')!)).toBeCloseTo(0.02, 3);
    expect(deviation(weights.get('transformer.h.0.attn.c_proj.weight')!)).toBeCloseTo(0.01, 3);
    expect(weights.get('transformer.ln_f.weight')!.every(x => x === 1)).toBe(true);
    expect(weights.get('transformer.h.0.mlp.c_fc.bias')!.every(x => x === 0)).toBe(true);
  });

  it('is a function of the seed', () => {
    expect(initialWeights(config, 'matched', 1)).toEqual(initialWeights(config, 'matched', 1));
    expect(initialWeights(config, 'matched', 1)).not.toEqual(initialWeights(config, 'matched', 2));
  });
});
