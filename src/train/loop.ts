// The training loop of one arm: stages, steps, validations, checkpoints. Everything it does follows from its
// position and the seed, so a resumed arm goes on bit for bit. Knows no platform: files and output are given.
import type { Row } from '../data/batch.ts';
import { drawStage, FORMS, type Mode, promptOf, rowOf, withSteps } from '../data/curriculum.ts';
import { derivedSeed, randomFor } from '../data/random.ts';
import type { Sample } from '../data/sample.ts';
import { UserError } from '../errors.ts';
import { evaluate } from '../eval/evaluate.ts';
import { norms, normsLine } from '../eval/norms.ts';
import type { Files } from '../files.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { ModelFiles } from '../model/folder.ts';
import type { Gpt } from '../model/gpt.ts';
import { read, type Tensor } from '../tensor.ts';
import { armModel, isSupervised } from './arm-model.ts';
import { type Checkpoint, writeCheckpoint } from './checkpoint.ts';
import { formatRecord, type MetricRecord } from './metrics.ts';
import { learningRate } from './optimizer.ts';
import type { TrainOptions } from './option-table.ts';
import { type Progress, secondsLeft } from './progress.ts';
import type { ArmResult } from './results.ts';
import {
  lastStage,
  type Position,
  plannedSteps,
  START,
  shareDone,
  stageEnds,
  threshold,
} from './schedule.ts';
import type { Setup } from './setup.ts';
import { Learner, type StepValues } from './step.ts';
import type { Tuning } from './tuning.ts';

/** Names the stream of stage draws among those of a seed. */
const STAGE_DRAWS = 4;
/** Tokens generated from at once in evaluations: enough to fill a device, few enough for its memory. */
const EVAL_TOKENS = 16_384;
/** So far below its threshold, an accuracy on a third of the samples will not reach it on all. */
const FAR = 0.1;

export interface ArmPlan {
  readonly mode: Mode;
  /** Folder of the arm's checkpoints and final model. */
  readonly dir: string;
  /** Samples to train on, the last stage lasting until then; null where the arm's own stages decide. */
  readonly samples: number | null;
  readonly finished: readonly ArmResult[];
}

export interface Surroundings {
  readonly gpu: Gpu;
  readonly files: Files;
  readonly progress: Progress;
  /** Path of metrics.jsonl. */
  readonly metricsPath: string;
  /** The adapter's measured ceiling, operations a second. */
  readonly ceiling: number;
  readonly tuning: Tuning;
  /** Whether the user asked to stop; the loop then writes a checkpoint and throws. */
  readonly stopping: () => boolean;
}

export interface TrainedArm {
  readonly model: Gpt;
  readonly files: ModelFiles;
  readonly position: Position;
  /** Stage whose prompts the final evaluation gives. */
  readonly stage: number;
  readonly lastStage: number;
  readonly trainSeconds: number;
  readonly stepSeconds: number;
  readonly peakBytes: number;
}

/** Trains an arm from its beginning or from a checkpoint of it. */
export async function trainArm(
  plan: ArmPlan,
  setup: Setup,
  options: TrainOptions,
  around: Surroundings,
  from: Checkpoint | undefined,
): Promise<TrainedArm> {
  const { gpu, files, progress, tuning } = around;
  const { mode } = plan;
  const { tokenizer, curriculum } = setup;
  const model = armModel(gpu, mode, setup, options, from);
  const { parameters } = model;
  const learner = new Learner(model, { ...options, window: options.bptt, padId: tokenizer.pad });
  if (from) {
    learner.optimizer.m.load(from.moments.m);
    learner.optimizer.v.load(from.moments.v);
    learner.optimizer.steps = from.trainer.optimizerStep;
  }
  const last = lastStage(mode, options, setup.most);
  const planned = plannedSteps(options, plan.samples);
  const seed = derivedSeed(options.seed, STAGE_DRAWS);

  let position: Position = from?.trainer ?? START;
  let accuracy = from?.trainer.lastAccuracy ?? null;
  let best = from?.trainer.bestAccuracy ?? 0;
  const before = from?.trainer.seconds ?? 0;
  const begun = performance.now();
  const seconds = (): number => before + (performance.now() - begun) / 1000;
  const common = () => ({ arm: mode, ...positionOf(position), seconds: seconds() });
  const log = (record: MetricRecord): Promise<void> => files.append(around.metricsPath, formatRecord(record));

  const modelFiles = async (): Promise<ModelFiles> => ({
    config: {
      ...model.config,
      dropout: options.dropout > 0 ? options.dropout : undefined,
      reasoning: { mode, stage: position.stage, ...reasoningOptions(mode, options) },
    },
    weights: await parameters.values(),
    tokenizer: tokenizer.toJson(),
  });
  const save = async (): Promise<void> => {
    const [m, v] = [await learner.optimizer.m.values(), await learner.optimizer.v.values()];
    const trainer = {
      arm: mode,
      ...position,
      optimizerStep: learner.optimizer.steps,
      bestAccuracy: best,
      lastAccuracy: accuracy,
      seconds: seconds(),
      finished: plan.finished,
      tuned: tuning.tuned,
      options,
    };
    const { extra } = parameters;
    await writeCheckpoint(files, plan.dir, { ...(await modelFiles()), trainer, moments: { m, v }, extra });
  };
  const { valid } = setup;
  const first = Math.ceil(valid.length / 3);
  /** Right answers at a stage, in batches of one size: others would need memory and kernels of their own. */
  const measure = async (samples: readonly Sample[], stage: number): Promise<number> => {
    const batch = Math.min(first, evalBatch(setup.config.positions));
    const asked = { mode, stage, curriculum, batch, scoring: options.score };
    return (await evaluate(model, tokenizer, samples, asked)).exactMatch * samples.length;
  };
  const validate = async (): Promise<number> => {
    const { stage } = position;
    let right = await measure(valid.slice(0, first), stage);
    // A first third far below the threshold says enough.
    const far = options.stageSteps === 'auto' && right / first < threshold(stage, last, options) - FAR;
    if (!far && valid.length > first) right += await measure(valid.slice(first), stage);
    const result = right / (far ? first : valid.length);
    await log({ kind: 'validation', ...common(), accuracy: result });
    return result;
  };

  const rowAt = (sample: Sample, stage: number): Row => {
    const row = rowOf(sample, tokenizer, mode, stage, curriculum);
    return isSupervised(mode, options) ? withSteps(row, sample, tokenizer, curriculum) : row;
  };
  const batchAt = (samples: number, stage: number): Row[] =>
    Array.from({ length: options.batch }, (_, i) => rowAt(setup.train.at(samples + i), stage));
  const stepTimes: number[] = [];
  let peakBytes = 0;
  let since = { time: performance.now(), flops: gpu.counts.flops, tokens: 0, steps: 0 };
  const restartClock = (): void => {
    since = { time: performance.now(), flops: gpu.counts.flops, tokens: 0, steps: 0 };
  };
  /** Reads a step's values, which waits for all steps before it, and tells how fast they went. */
  const report = async (values: StepValues, lr: number): Promise<void> => {
    const [loss, gradNorm] = await readValues(values);
    const elapsed = (performance.now() - since.time) / 1000;
    stepTimes.push(elapsed / since.steps);
    const tokensPerSecond = since.tokens / elapsed;
    const ceilingShare = (gpu.counts.flops - since.flops) / elapsed / around.ceiling;
    const liveBytes = gpu.pool.memory.live;
    await log({
      kind: 'step',
      ...common(),
      loss,
      gradNorm,
      lr,
      tokensPerSecond,
      ceilingShare,
      liveBytes,
      peakBytes,
    });
    if (!Number.isFinite(loss))
      throw new UserError(
        `the loss is ${loss} at step ${position.step}: lower --lr, or --resume from the last checkpoint with other data`,
      );
    const done = shareDone(position, last, planned, accuracy, options);
    progress.update({
      arm: mode,
      step: position.step,
      stage: position.stage,
      lastStage: last,
      done,
      loss,
      accuracy,
      tokensPerSecond,
      ceilingShare,
      liveBytes,
      peakBytes,
      secondsLeft: secondsLeft(done, seconds()),
    });
    restartClock();
  };

  const armEnds = (validated: number | null): boolean =>
    (planned !== null && position.step >= planned) ||
    (plan.samples === null && position.stage >= last && stageEnds(position, last, options, validated));
  // A run killed between an arm's last checkpoint and its evaluation comes back to an arm that has ended.
  let ended = from !== undefined && armEnds(accuracy);
  // Every stage's kernels are compiled before the first step: a stage that compiled its own as it begins would stop
  // the run there and leave it with more memory than it had.
  const rehearse = async (): Promise<void> => {
    for (let stage = 0; stage <= last; stage++) {
      tuning.weigh(1 / (last + 1));
      learner.rehearse(batchAt(position.samples, stage));
      tuning.weigh(1 / (last + 1) / options.stageCheckEvery);
      await measure(valid.slice(0, first), stage);
    }
  };
  if (!from) {
    // A pretrained model has never read its own hidden states: how far they are from what it reads is worth a line.
    if (options.init !== null && FORMS[mode].instead === 'latents') {
      const asked = valid.slice(0, evalBatch(setup.config.positions));
      const bare = { ...curriculum, endMarker: 'latents' } as const;
      const prompts = asked.map(sample => promptOf(sample, tokenizer, 'coconut', 0, bare));
      progress.message(normsLine(await norms(model, prompts, tokenizer.pad)));
    }
    await log({ kind: 'stage', ...common() });
    await tuning.prepare(rehearse);
    await save(); // From here on, a run killed at any moment can be resumed, with the kernels that it has now.
  } else if (!ended) await rehearse();
  restartClock();
  while (!ended) {
    const stage = drawStage(randomFor(seed, position.step), position.stage, options.uniformProb);
    const rows = batchAt(position.samples, stage);
    const lr = learningRate(position.step, learner.optimizer.steps, options, planned);
    gpu.pool.resetPeak();
    const values = learner.step(rows, lr, position.step);
    peakBytes = Math.max(peakBytes, gpu.pool.memory.peak);
    position = advance(position, options.batch);
    since.tokens += values.tokens;
    since.steps++;
    if (position.step % options.logEvery === 0) await report(values, lr);
    else freeValues(values);

    const check = position.stageStep % options.stageCheckEvery === 0;
    if (check) {
      accuracy = await validate();
      best = Math.max(best, accuracy);
      restartClock();
    }
    const validated = check ? accuracy : null;
    ended = armEnds(validated);
    if (!ended && position.stage < last && stageEnds(position, last, options, validated)) {
      position = { ...position, stage: position.stage + 1, stageStep: 0 };
      accuracy = null;
      stepTimes.length = 0; // A step's time is that of the last stage, with all its latents.
      if (options.resetOptimizer) learner.optimizer.reset();
      await log({ kind: 'stage', ...common() });
      progress.message(`${mode}: stage ${position.stage} of ${last} begins at step ${position.step}`);
    }
    if (ended || around.stopping() || position.step % options.checkpointEvery === 0) {
      await save();
      restartClock();
    }
    if (around.stopping() && !ended)
      throw new UserError(`stopped at step ${position.step}; go on with --resume ${options.out}`);
  }
  const trained = {
    model,
    files: await modelFiles(),
    position,
    stage: position.stage,
    lastStage: last,
    trainSeconds: seconds(),
    stepSeconds: median(stepTimes),
    peakBytes,
  };
  learner.free();
  return trained;
}

/** Rows evaluated at once for rows of up to `positions` tokens. */
export function evalBatch(positions: number): number {
  return Math.min(512, Math.max(8, Math.floor(EVAL_TOKENS / positions)));
}

function reasoningOptions(mode: Mode, options: TrainOptions) {
  const { latentsPerStep, maxLatentStage, padLatents, endMarker, icotTokens } = options;
  const common = { latentsPerStep, maxLatentStage, padLatents, endMarker };
  return FORMS[mode].written === 'fewer tokens' ? { ...common, icotTokens } : common;
}

function advance({ step, samples, stage, stageStep }: Position, batch: number): Position {
  return { step: step + 1, samples: samples + batch, stage, stageStep: stageStep + 1 };
}

function positionOf({ step, stage, samples }: Position): Pick<Position, 'step' | 'stage' | 'samples'> {
  return { step, stage, samples };
}

async function readValues(values: StepValues): Promise<[loss: number, gradNorm: number]> {
  const first = async (tensor: Tensor): Promise<number> => (await read(tensor))[0]!;
  const losses = await Promise.all(values.losses.map(first));
  const norm = await first(values.clip);
  freeValues(values);
  return [losses.reduce((a, b) => a + b), norm];
}

function freeValues({ losses, clip }: StepValues): void {
  for (const tensor of [...losses, clip]) tensor.free();
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
