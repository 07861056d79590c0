// Initial weights. Knows names, shapes and a seed; knows no device.
import { randomFor } from '../data/random.ts';
import { HEAD, type ModelConfig, parameterShapes } from './config.ts';

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
  return new Map(
    parameterShapes(config).map(([name, shape], i) => {
      const size = shape.reduce((a, b) => a * b, 1);
      if (shape.length === 1) return [name, new Float32Array(size).fill(vector(name, config, scale))];
      const random = randomFor(seed, i);
      const deviation = standardDeviation(name, shape[0]!, config, scale);
      return [name, Float32Array.from({ length: size }, () => deviation * random.normal())];
    }),
  );
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
