// Initial weights. Knows names, shapes and a seed; knows no device.
import { randomFor } from '../data/random.ts';
import { bridgeShapes, elements, HEAD, type ModelConfig, parameterShapes } from './config.ts';

/**
 * How weights start.
 * `gpt2`: matrices and embeddings from N(0, 0.02²), those that write to the residual stream divided by
 * √(2·layers), gains 1 (Radford et al. 2019).
 * `matched`: embeddings (and a head of its own) from N(0, C^-1/2) and the final LayerNorm's gain at C^-1/4, so that a fed-back hidden
 * state is as long as a token's embedding (C^1/4) and the head's logits have unit variance; other matrices
 * from N(0, 1/fan-in), those that write to the residual stream divided by √(2·layers).
 */
export type InitScale = 'matched' | 'gpt2';

/** Values by parameter name; a pure function of its arguments. */
export function initialWeights(
  config: ModelConfig,
  scale: InitScale,
  seed: number,
): Map<string, Float32Array> {
  const bridge = new Set(bridgeShapes(config).map(([name]) => name));
  const shapes = parameterShapes(config).filter(([name]) => !bridge.has(name));
  const weights = new Map(
    shapes.map(([name, shape], i): [string, Float32Array] => {
      const size = elements(shape);
      if (shape.length === 1) return [name, new Float32Array(size).fill(vector(name, config, scale))];
      const random = randomFor(seed, i);
      const deviation = standardDeviation(name, shape[0]!, config, scale);
      return [name, Float32Array.from({ length: size }, () => deviation * random.normal())];
    }),
  );
  return withBridge(config, weights, seed);
}

/** Names the stream of the bridge's weights among those of a seed. */
const BRIDGE = 2 ** 30;

/**
 * The same weights and those of the bridge that `config` names, if it names one. It begins as close to the published
 * form as can be: the map is the identity (of an MLP the residual alone, as its last matrix is zero), and the norm's
 * gain is the root mean square of the token embeddings. So a fed-back state has the direction of the hidden state and
 * the length of a token's embedding, whatever `initScale` made of the two: that they differ is what makes the first
 * thought dear.
 */
export function withBridge(
  config: ModelConfig,
  weights: ReadonlyMap<string, Float32Array>,
  seed: number,
): Map<string, Float32Array> {
  const { width: C, recurrence } = config;
  const wte = weights.get('transformer.wte.weight')!;
  const gain = Math.sqrt(wte.reduce((sum, x) => sum + x * x, 0) / wte.length);
  const random = randomFor(seed, BRIDGE);
  const value = (name: string, i: number): number => {
    if (name.endsWith('ln.weight')) return gain;
    if (name.endsWith('c_fc.weight')) return C ** -0.5 * random.normal();
    const diagonal = name.endsWith('c_proj.weight') && recurrence?.feedback === 'linear' && i % (C + 1) === 0;
    return diagonal ? 1 : 0;
  };
  const bridge = bridgeShapes(config).map(([name, shape]): [string, Float32Array] => [
    name,
    Float32Array.from({ length: elements(shape) }, (_, i) => value(name, i)),
  ]);
  return new Map([...weights, ...bridge]);
}

function vector(name: string, { width }: ModelConfig, scale: InitScale): number {
  if (name.endsWith('.bias')) return 0;
  return scale === 'matched' && name === 'transformer.ln_f.weight' ? width ** -0.25 : 1;
}

function standardDeviation(name: string, fanIn: number, config: ModelConfig, scale: InitScale): number {
  const residual = name.endsWith('c_proj.weight') ? (2 * config.layers) ** -0.5 : 1;
  if (scale === 'gpt2') return 0.02 * residual;
  const embedding = name === HEAD || /\.w[tp]e\./.test(name);
  return embedding ? config.width ** -0.25 : residual * fanIn ** -0.5;
}
