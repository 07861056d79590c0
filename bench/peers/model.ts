// The model that all engines train and generate with: GPT-2's architecture with a tied head, its first weights and
// its tokens, the same in every process. Knows sizes and numbers; knows no engine.
import { type ModelConfig, parameterShapes } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/init.ts';
import { seeded } from '../../test/numbers.ts';

export const CONFIG: ModelConfig = {
  vocabSize: 64,
  positions: 128,
  width: 128,
  layers: 2,
  heads: 4,
  inner: 512,
  layerNormEpsilon: 1e-5,
  bosTokenId: undefined,
  eosTokenId: undefined,
  padTokenId: undefined,
  latentTokenId: undefined,
  startLatentId: undefined,
  endLatentId: undefined,
  reasoning: undefined,
};

/** Columns of a training row. */
export const T = CONFIG.positions;
/** Width of a head. */
export const D = CONFIG.width / CONFIG.heads;

export const ADAMW = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 } as const;

/** A parameter by its name below `transformer.`. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /** Matrices and embeddings decay, biases and gains do not. */
  readonly decays: boolean;
}

/**
 * Blocks outweigh the embedding, and attention looks at few columns: else every token would be followed by itself, and
 * a wrong attention would not be seen.
 */
const SCALES = { 'attn.c_attn.weight': 2, 'attn.c_proj.weight': 8, 'mlp.c_proj.weight': 8 } as const;

/** Matrices are [in, out]. */
export function parameters(): Parameter[] {
  const weights = initialWeights(CONFIG, 'matched', 1);
  return parameterShapes(CONFIG).map(([name, shape]) => {
    const scale = Object.entries(SCALES).find(([ending]) => name.endsWith(ending))?.[1] ?? 1;
    return {
      name: name.replace('transformer.', ''),
      shape,
      data: weights.get(name)!.map(value => scale * value),
      decays: shape.length > 1,
    };
  });
}

/** Tokens [B][columns] of rows that repeat themselves, with a fault now and then: a step on them lowers the loss. */
export function tokenRows(B: number, columns: number): number[][] {
  const random = seeded(3);
  const token = (): number => Math.floor(random() * CONFIG.vocabSize);
  return Array.from({ length: B }, () => {
    const period = 3 + Math.floor(random() * 6);
    const row: number[] = [];
    while (row.length < columns) row.push(row.length < period || random() < 0.1 ? token() : row.at(-period)!);
    return row;
  });
}

/** What AdamW's step `step` (from 1) needs beside the settings: see src/ops/adamw.ts. */
export function adamwScalars(step: number): { readonly rate: number; readonly rootCorrection: number } {
  const { lr, beta1, beta2 } = ADAMW;
  return { rate: lr / (1 - beta1 ** step), rootCorrection: 1 / Math.sqrt(1 - beta2 ** step) };
}
