// What a run will take of the device's memory, part by part, before it takes any: steps are recorded on a device that
// computes nothing. Knows an arm's model, rows and options; knows no platform: how much there is is told.
import type { Row } from '../data/batch.ts';
import { UserError } from '../errors.ts';
import { DryGpu } from '../gpu/dry-gpu.ts';
import { GpuOutOfMemoryError } from '../gpu/errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Arm } from './arm.ts';
import { armModel } from './arm-model.ts';
import { Course } from './course.ts';
import { flagName, type TrainOptions } from './option-table.ts';
import type { Setup } from './prepare.ts';
import { bytes } from './results.ts';
import { Learner } from './step.ts';

/** Bytes on the device. What a step needs is that of the stage that needs most. */
export interface MemoryPlan {
  readonly weights: number;
  readonly gradients: number;
  /** AdamW's two moments, and the loss scale where there is one. */
  readonly optimizer: number;
  /** Whatever else is alive at a step's peak. */
  readonly activations: number;
  /** The part of the activations that would not be there if thoughts were read like words. */
  readonly thoughts: number;
  /** Of all parts but `thoughts`, which is inside another. */
  readonly total: number;
}

/** What is known of the device before anything is on it. */
export type Form = Pick<Gpu, 'cpuRun' | 'swiftshader' | 'features' | 'limits'>;

/** Samples of which the plan knows how long their rows are: rows differ, and the longest decide. */
const KNOWN = 200;

/** The batch with the longest row. */
function longest(batches: readonly Row[][]): Row[] {
  const length = (rows: readonly Row[]): number => Math.max(...rows.map(({ tokens }) => tokens.length));
  return batches.reduce((most, rows) => (length(rows) > length(most) ? rows : most));
}

/** What an arm needs where there is no limit but that of a buffer. Throws GpuOutOfMemoryError where a tensor exceeds it. */
export function planMemory(
  plan: { readonly mode: Arm; readonly samples: number | null },
  setup: Setup,
  options: TrainOptions,
  form: Form,
): MemoryPlan {
  const dry = new DryGpu({ ...form, features: [...form.features] }, form.limits);
  const { memory } = dry.pool;
  const model = armModel(dry.gpu, plan.mode, setup, options, undefined);
  const weights = memory.live;
  const learner = new Learner(model, { ...options, window: options.bptt, padId: setup.tokenizer.pad });
  const own = memory.live;
  const course = new Course(plan, setup, options);

  const ofStep = (rows: readonly Row[]): number => {
    dry.pool.resetPeak();
    const { losses, clip } = learner.step(rows, options.lr, 0);
    for (const tensor of [...losses, clip]) tensor.free();
    dry.dispatches.length = 0;
    return memory.peak - own;
  };
  const stages = Array.from({ length: course.last + 1 }, (_, stage) => {
    const starts = Array.from({ length: Math.ceil(KNOWN / options.batch) }, (_, i) => i * options.batch);
    return longest(starts.map(samples => course.rows(samples, stage)));
  });
  // Most words, most thoughts, or most of both together: the first thought brings markers with it.
  const batches = [...new Set([stages[0]!, stages.at(-1)!, longest(stages)])];
  const needs = batches.map(ofStep);
  const activations = Math.max(...needs);
  const most = batches[needs.indexOf(activations)]!;
  const read = most.map(({ steps: _, ...row }) => ({ ...row, latentStart: -1, latents: 0 }));
  const thoughts = Math.max(0, activations - ofStep(read));
  const gradients = Math.floor((own - weights) / 3);
  return {
    weights,
    gradients,
    optimizer: own - weights - gradients,
    activations,
    thoughts,
    total: own + activations,
  };
}

/** The plan as a line. */
export function planLine({
  weights,
  gradients,
  optimizer,
  activations,
  thoughts,
  total,
}: MemoryPlan): string {
  const parts = [
    `weights ${bytes(weights)}`,
    `gradients ${bytes(gradients)}`,
    `optimizer ${bytes(optimizer)}`,
    `activations ${bytes(activations)}${thoughts > 0 ? ` (${bytes(thoughts)} for thoughts)` : ''}`,
  ];
  return `memory on the device: about ${bytes(total)}: ${parts.join(', ')}`;
}

/** What of a change the options do not have yet, as flags. */
function flagsOf(change: Pick<TrainOptions, 'microBatch' | 'recompute'>, options: TrainOptions): string {
  return [
    ...(change.microBatch === options.microBatch ? [] : [`--${flagName('microBatch')} ${change.microBatch}`]),
    ...(change.recompute && !options.recompute ? ['--recompute'] : []),
  ].join(' ');
}

/** Micro-batches to try, largest first: halves of the batch. */
function smaller({ batch, microBatch }: TrainOptions): number[] {
  const now = microBatch === 'all' ? batch : Math.min(microBatch, batch);
  return Array.from({ length: Math.floor(Math.log2(Math.max(1, now))) }, (_, i) => now >> (i + 1));
}

/**
 * The plan of an arm, which fits in `available` bytes (undefined: nobody knows). Throws UserError where it does not, with
 * the flags with which it would.
 */
export function checkedPlan(
  ...[plan, setup, options, form, available]: [
    ...Parameters<typeof planMemory>,
    available: number | undefined,
  ]
): MemoryPlan {
  const tried = (given: TrainOptions): MemoryPlan | undefined => {
    try {
      return planMemory(plan, setup, given, form);
    } catch (error) {
      if (error instanceof GpuOutOfMemoryError) return undefined;
      throw error;
    }
  };
  const fits = (found: MemoryPlan | undefined): boolean =>
    found !== undefined && found.total <= (available ?? Number.POSITIVE_INFINITY);
  const wanted = tried(options);
  if (wanted && fits(wanted)) return wanted;
  const smallest = [options.microBatch, ...smaller(options)];
  const changes = [options.recompute, true].flatMap(recompute =>
    smallest.map(microBatch => ({ microBatch, recompute })),
  );
  const change = changes.find(flags => fits(tried({ ...options, ...flags })));
  const advice = change
    ? `${flagsOf(change, options)} would make it fit`
    : 'no flag but a smaller model (--layers, --width) would make it fit';
  const { maxBuffer, maxBinding } = form.limits;
  throw new UserError(
    wanted
      ? `${planLine(wanted)}; there are ${bytes(available!)} (--memory, or what is free): ${advice}`
      : `${plan.mode}: a tensor is larger than the device's limits (buffer ${bytes(maxBuffer)}, binding ${bytes(maxBinding)}): ${advice}`,
  );
}
