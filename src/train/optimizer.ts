// AdamW over a model's arenas, with clipping by the global gradient norm: no value comes back to the CPU before
// the step is done. Knows parameters and their moments; knows no schedule and no data.
import type { Parameters } from '../model/parameters.ts';
import { adamw } from '../ops/adamw.ts';
import { clipFactor } from '../ops/clip.ts';
import { sumSquares } from '../ops/reduce.ts';
import type { Tensor } from '../tensor.ts';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Largest global gradient norm; 0 does not clip. */
  readonly clip: number;
}

export class AdamW {
  readonly m: Parameters;
  readonly v: Parameters;
  /** Steps since the moments were zero: corrects their bias. */
  steps = 0;
  readonly #parameters: Parameters;
  readonly #gradients: Parameters;
  readonly #options: AdamWOptions;

  constructor(parameters: Parameters, gradients: Parameters, options: AdamWOptions) {
    this.#parameters = parameters;
    this.#gradients = gradients;
    this.#options = options;
    this.m = parameters.another();
    this.v = parameters.another();
  }

  /** Forgets the moments. */
  reset(): void {
    this.m.zero();
    this.v.zero();
    this.steps = 0;
  }

  /** One step at rate `lr`. Returns {gradient norm, clip factor} as a tensor [2], which the caller frees. */
  step(lr: number): Tensor {
    const { gpu, arenas } = this.#parameters;
    const { clip: maxNorm, ...settings } = this.#options;
    this.steps++;
    const squares = sumSquares(
      gpu,
      this.#gradients.arenas.map(({ flat }) => flat),
    );
    const clip = clipFactor(gpu, squares, maxNorm);
    squares.free();
    for (const [i, { flat: param, decayEnd }] of arenas.entries()) {
      const tensors = {
        param,
        grad: this.#gradients.arenas[i]!.flat,
        m: this.m.arenas[i]!.flat,
        v: this.v.arenas[i]!.flat,
        clip,
      };
      adamw(gpu, tensors, { ...settings, lr, step: this.steps }, decayEnd);
    }
    return clip;
  }

  free(): void {
    this.m.free();
    this.v.free();
  }
}

/**
 * Learning rate of step `step` (from 0): constant, or half a cosine to 0 at `totalSteps`; times a linear rise over
 * the first `warmup` steps since the optimizer's moments were last zero (`sinceReset` steps ago), when its estimates
 * are poor and a full step would undo what earlier stages learnt.
 */
export function learningRate(
  step: number,
  sinceReset: number,
  options: { readonly lr: number; readonly warmup: number; readonly schedule: 'constant' | 'cosine' },
  totalSteps: number | null,
): number {
  const { lr, warmup, schedule } = options;
  const rise = Math.min(1, (sinceReset + 1) / Math.max(1, warmup));
  if (schedule === 'constant' || totalSteps === null) return lr * rise;
  const done = Math.min(1, Math.max(0, step - warmup) / Math.max(1, totalSteps - warmup));
  return (rise * lr * (1 + Math.cos(Math.PI * done))) / 2;
}
