// AdamW over a model's arenas, with clipping by the global gradient norm: no value comes back to the CPU before
// the step is done. Knows parameters and their moments; knows no schedule and no data.
import type { Parameters } from '../model/parameters.ts';
import { adamw, adamwScaled } from '../ops/adamw.ts';
import { clipFactor } from '../ops/clip.ts';
import {
  FIRST_SCALE,
  type LossScale,
  scaledClip,
  scaleOf,
  uploadScale,
  writeScale,
} from '../ops/loss-scale.ts';
import { sumSquares } from '../ops/reduce.ts';
import { type FloatType, read, type Tensor } from '../tensor.ts';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Largest global gradient norm; 0 does not clip. */
  readonly clip: number;
  /** How activations are stored; with f16 gradients are those of a scaled loss. f32 by default. */
  readonly storage?: FloatType;
}

export class AdamW {
  readonly m: Parameters;
  readonly v: Parameters;
  /** Steps since the moments were zero: corrects their bias. */
  steps = 0;
  /** The loss scale, where there is one: a tensor [5], whose first element is the scale. */
  readonly #scale: Tensor | undefined;
  readonly #parameters: Parameters;
  readonly #gradients: Parameters;
  readonly #options: AdamWOptions;

  constructor(parameters: Parameters, gradients: Parameters, options: AdamWOptions) {
    this.#parameters = parameters;
    this.#gradients = gradients;
    this.#options = options;
    this.m = parameters.another();
    this.v = parameters.another();
    this.#scale = options.storage === 'f16' ? uploadScale(parameters.gpu, FIRST_SCALE) : undefined;
  }

  /** What the loss's gradient begins with [1], on the device; undefined: with 1. */
  get lossScale(): Tensor | undefined {
    return this.#scale?.rows(0, 1);
  }

  /** The loss scale after the steps recorded so far; undefined where there is none. */
  async scale(): Promise<LossScale | undefined> {
    return this.#scale && scaleOf(await read(this.#scale));
  }

  /** Goes on with a loss scale of before. */
  loadScale(scale: LossScale): void {
    if (this.#scale) writeScale(this.#scale, scale);
  }

  /** Forgets the moments; a loss scale stays what it has come to, as the gradients do not change. */
  async reset(): Promise<void> {
    this.m.zero();
    this.v.zero();
    this.steps = 0;
    const scale = await this.scale();
    if (scale) this.loadScale({ ...scale, correction1: 0, correction2: 0 });
  }

  /**
   * One step at rate `lr`. Returns {gradient norm, clip factor} as a tensor [2], which the caller frees. With a loss scale,
   * a step whose gradients are not finite changes nothing but that.
   */
  step(lr: number): Tensor {
    const { gpu, arenas } = this.#parameters;
    const { clip: maxNorm, ...settings } = this.#options;
    this.steps++;
    const squares = sumSquares(
      gpu,
      this.#gradients.arenas.map(({ flat }) => flat),
    );
    const scale = this.#scale;
    const clip = scale
      ? scaledClip(gpu, squares, scale, { ...settings, maxNorm })
      : clipFactor(gpu, squares, maxNorm);
    squares.free();
    for (const [i, { flat: param, decayEnd }] of arenas.entries()) {
      const tensors = {
        param,
        grad: this.#gradients.arenas[i]!.flat,
        m: this.m.arenas[i]!.flat,
        v: this.v.arenas[i]!.flat,
        clip,
      };
      if (scale) adamwScaled(gpu, { ...tensors, state: scale }, { ...settings, lr }, decayEnd);
      else adamw(gpu, tensors, { ...settings, lr, step: this.steps }, decayEnd);
    }
    return clip;
  }

  free(): void {
    this.m.free();
    this.v.free();
    this.#scale?.free();
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
