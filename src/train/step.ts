// One optimizer step: rows to micro-batches, forward and backward through the latents, AdamW. Knows the model and
// the recurrence; knows no data source, no curriculum and no clock.
import { collate, groupByLatents, type Row, UNLABELLED } from '../data/batch.ts';
import { Gpt, rowsThatFit } from '../model/gpt.ts';
import { latentLoss, type Window } from '../model/latent.ts';
import type { Parameters } from '../model/parameters.ts';
import { latentPasses, PUBLISHED, type Schedule } from '../model/recurrence.ts';
import { stepTokenCount } from '../model/step-head.ts';
import { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { AdamW, type AdamWOptions } from './optimizer.ts';

export interface StepOptions extends AdamWOptions {
  readonly window: Window;
  /** Rows at once. */
  readonly microBatch: number | 'all';
  readonly padId: number;
  /** Weight of the step head's loss; 0, the default: the model has no such head. */
  readonly stepSupervision?: number;
  /** Blocks of the question and the text run again in the backward pass instead of being kept. */
  readonly recompute?: boolean;
  /** Rate of the dropout; 0, the default: there is none. */
  readonly dropout?: number;
  /** Of the dropout's masks. */
  readonly seed?: number;
}

/** Values of a step that are still on the device: read them when they are needed, then free them. */
export interface StepValues {
  /**
   * [1] each; their sum is the mean cross-entropy over the labelled tokens of the batch, with step supervision plus its
   * weight times that over the steps' tokens.
   */
  readonly losses: readonly Tensor[];
  /** [2]: global gradient norm before clipping, and the factor that clipped it. */
  readonly clip: Tensor;
  /** Tokens of the batch, pads not counted. */
  readonly tokens: number;
}

/** A model in training: its gradients, tape and optimizer. */
export class Learner {
  readonly model: Gpt;
  readonly optimizer: AdamW;
  /** The same with its activations stored as the options say: it is run for its gradients alone. */
  readonly #stored: Gpt;
  readonly #gradients: Parameters;
  readonly #tape: Tape;
  readonly #options: StepOptions;

  constructor(model: Gpt, options: StepOptions) {
    const { parameters } = model;
    this.model = model;
    this.#stored = new Gpt(parameters, model.config, options.storage);
    this.#options = options;
    this.#gradients = parameters.another();
    this.#tape = new Tape(parameters.gpu);
    this.optimizer = new AdamW(parameters, this.#gradients, options);
    for (const name of parameters.names()) this.#tape.watch(parameters.get(name), this.#gradients.get(name));
  }

  /**
   * Records and submits one step on `rows` at rate `lr`; waits for nothing. `step` is its number in the run, which the
   * dropout's masks follow from.
   */
  step(rows: readonly Row[], lr: number, step = 0): StepValues {
    const losses = this.#gradientsOf(rows, step);
    const { gpu } = this.model.parameters;
    const clip = gpu.scope('optimizer', () => this.optimizer.step(lr));
    gpu.submit();
    return { losses, clip, tokens: rows.reduce((sum, row) => sum + row.tokens.length, 0) };
  }

  /** Forward and backward without a step, so that the kernels of such rows are compiled: changes no value. */
  rehearse(rows: readonly Row[]): void {
    for (const loss of this.#gradientsOf(rows, 0)) loss.free();
    this.model.parameters.gpu.submit();
  }

  free(): void {
    this.#gradients.free();
    this.optimizer.free();
  }

  get #schedule(): Schedule {
    return (this.model.config.recurrence ?? PUBLISHED).schedule;
  }

  /** Leaves the gradients of the batch's mean loss in place of those before; returns the losses of its parts. */
  #gradientsOf(rows: readonly Row[], step: number): Tensor[] {
    const { window, padId, stepSupervision = 0, recompute = false, dropout = 0, seed = 0 } = this.#options;
    // A row's masks are its own, whatever batch it comes in.
    const numbers = new Map(rows.map((row, i) => [row, i]));
    const labels = rows.reduce((sum, row) => sum + labelCount(row), 0);
    const stepTokens = rows.reduce((sum, row) => sum + stepTokenCount(row, this.#schedule), 0);
    const stepScale = stepTokens > 0 ? stepSupervision / stepTokens : 0;
    this.#tape.resetGradients();
    return this.#microBatches(rows).map(part => {
      const batch = collate(part, padId);
      const { gpu } = this.#tape;
      const masked = { rate: dropout, seed, step, rows: part.map(row => numbers.get(row)!) };
      const wanted = {
        window,
        scale: 1 / labels,
        stepScale,
        recompute,
        dropout: dropout > 0 ? masked : undefined,
      };
      const { loss, release } = gpu.scope('forward', () =>
        latentLoss(this.#tape, this.#stored, batch, wanted),
      );
      gpu.scope('backward', () => {
        this.#tape.backward(loss, this.optimizer.lossScale);
        release();
      });
      return loss;
    });
  }

  #microBatches(rows: readonly Row[]): (readonly Row[])[] {
    const { window, microBatch } = this.#options;
    const { gpu, config } = this.model.parameters;
    // First latents share a column, so a batch is as long as the longest part before them and the longest after.
    const lead = rows.map(row => Math.max(0, row.latentStart));
    const columns = Math.max(...lead) + Math.max(...rows.map((row, i) => row.tokens.length - lead[i]!));
    const size = Math.min(microBatch === 'all' ? rows.length : microBatch, rowsThatFit(gpu, config, columns));
    return microBatches(rows, window, this.#schedule, size);
  }
}

/**
 * Rows that may run at once, `size` at most. A finite window speaks of the last passes over latents, so rows with more of
 * them than it spans go by the number of their latents; to all others it is a full one, and they run together.
 */
export function microBatches(
  rows: readonly Row[],
  window: Window,
  schedule: Schedule,
  size: number,
): (readonly Row[])[] {
  const spanned = (row: Row): boolean => window === 'full' || latentPasses(schedule, row.latents) <= window;
  const within = rows.filter(spanned);
  const beyond = groupByLatents(rows.filter(row => !spanned(row))).map(group => group.rows);
  const groups = within.length > 0 ? [within, ...beyond] : beyond;
  return groups.flatMap(group =>
    Array.from({ length: Math.ceil(group.length / size) }, (_, i) => group.slice(i * size, (i + 1) * size)),
  );
}

/** Labels that count: that of the first column has no column before it to be predicted at. */
export function labelCount({ labels }: Row): number {
  return labels.slice(1).filter(label => label !== UNLABELLED).length;
}
