// A training step on a device that computes nothing: its dispatches, what each must do, and the part of the step that
// it serves. Knows the trainer's step; knows no rates and no files.
import type { Row } from '../../src/data/batch.ts';
import { type AdapterForm, type DryDispatch, DryGpu, REAL_GPU } from '../../src/gpu/dry-gpu.ts';
import type { GpuLimits } from '../../src/gpu/gpu.ts';
import type { Path } from '../../src/gpu/profiler.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { Gpt } from '../../src/model/gpt.ts';
import type { Window } from '../../src/model/latent.ts';
import { Parameters } from '../../src/model/parameters.ts';
import { Learner } from '../../src/train/step.ts';
import { type Work, workOf } from './work.ts';

export interface StepOptions {
  readonly window: Window;
  readonly microBatch: number | 'all';
  readonly recompute?: boolean;
  readonly adapter?: AdapterForm;
  readonly limits?: GpuLimits;
}

export interface CostedDispatch extends Work {
  readonly kernel: string;
  readonly part: Part;
}

/** The phase, and in it the pass, the head, or what is done for the whole row. */
export type Part = string;

export interface StepCost {
  readonly dispatches: readonly CostedDispatch[];
  /** Operations of matrix products alone: what `gpu.counts.flops` counts. */
  readonly productFlops: number;
  /** The most bytes alive at once, parameters, gradients and moments included. */
  readonly peakBytes: number;
  /** Of those, what was not alive before the step: activations and their gradients. */
  readonly stepBytes: number;
}

/** Throws GpuOutOfMemoryError where a tensor exceeds the device's limits. */
export function stepCost(config: ModelConfig, rows: readonly Row[], options: StepOptions): StepCost {
  const dry = new DryGpu(options.adapter ?? REAL_GPU, options.limits);
  const learner = new Learner(new Gpt(new Parameters(dry.gpu, config)), {
    window: options.window,
    microBatch: options.microBatch,
    recompute: options.recompute ?? false,
    padId: 0,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weightDecay: 0.01,
    clip: 1,
  });
  dry.dispatches.length = 0;
  dry.pool.resetPeak();
  const before = dry.counts.flops;
  const { live } = dry.pool.memory;
  learner.step(rows, 1e-4);
  return {
    dispatches: dry.dispatches.map(costed),
    productFlops: dry.counts.flops - before,
    peakBytes: dry.pool.memory.peak,
    stepBytes: dry.pool.memory.peak - live,
  };
}

function costed(dispatch: DryDispatch): CostedDispatch {
  const { kernel, path } = dispatch;
  return { kernel, part: partOf(path), ...workOf(dispatch) };
}

/** Scopes of a step (src/train/step.ts, src/model/latent.ts) as the part that a table shows. */
export function partOf(path: Path): Part {
  const [phase = 'other', pass] = path;
  if (phase !== 'forward' && phase !== 'backward') return phase;
  const across = ['head and loss', 'weights of all latents'].find(name => path.includes(name));
  if (across) return `${phase}: ${across}`;
  if (pass === undefined) return `${phase}: whole row`;
  if (/^latent \d+$/.test(pass)) return `${phase}: latent columns`;
  if (/^latent \d+ and text$/.test(pass)) return `${phase}: last latent and text`;
  return `${phase}: ${pass}`;
}

/** Dispatches by part, in the order in which parts first occur. */
export function byPart(dispatches: readonly CostedDispatch[]): ReadonlyMap<Part, readonly CostedDispatch[]> {
  return Map.groupBy(dispatches, ({ part }) => part);
}
