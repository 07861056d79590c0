// The training loop of one arm: stages, steps, validations, checkpoints. Everything it does follows from its
// position and the seed, so a resumed arm goes on bit for bit. Knows no platform: files and output are given.
import { UserError } from '../errors.ts';
import type { Files } from '../files.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { ModelFiles } from '../model/folder.ts';
import type { Gpt } from '../model/gpt.ts';
import { read, type Tensor } from '../tensor.ts';
import type { Arm } from './arm.ts';
import { armModel } from './arm-model.ts';
import { type Checkpoint, latestCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { advance, Course, nextStage, positionOf, reasoningOf } from './course.ts';
import { matched } from './feedback-scale.ts';
import { formatRecord, type Measure, type MetricRecord } from './metrics.ts';
import type { TrainOptions } from './option-table.ts';
import type { Setup } from './prepare.ts';
import { type Progress, secondsLeft } from './progress.ts';
import type { AnyResult } from './results.ts';
import { type Position, START, shareDone } from './schedule.ts';
import { Learner, type StepValues } from './step.ts';
import type { Tuning } from './tuning.ts';
import { validationOf } from './validation.ts';

export interface ArmPlan {
  readonly mode: Arm;
  /** Folder of the arm's checkpoints and final model. */
  readonly dir: string;
  /** Samples to train on, the last stage lasting until then; null where the arm's own stages decide. */
  readonly samples: number | null;
  readonly finished: readonly AnyResult[];
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
  const { tokenizer } = setup;
  const held = armModel(gpu, mode, setup, options, from);
  const say = (line: string): void => progress.message(line);
  const model = from ? held : await matched(held, mode, setup, options, say);
  const { parameters } = model;
  const learner = new Learner(model, { ...options, window: options.bptt, padId: tokenizer.pad });
  if (from) {
    learner.optimizer.m.load(from.moments.m);
    learner.optimizer.v.load(from.moments.v);
    learner.optimizer.steps = from.trainer.optimizerStep;
    if (from.trainer.lossScale) learner.optimizer.loadScale(from.trainer.lossScale);
  }
  const course = new Course(plan, setup, options);
  const validation = validationOf(mode, setup, options);
  const { last, planned } = course;

  let position: Position = from?.trainer ?? START;
  const lastAccuracy = from?.trainer.lastAccuracy ?? null;
  let seen: Measure | null = lastAccuracy === null ? null : { kind: 'validation', accuracy: lastAccuracy };
  /** The share of right answers, which ends stages; of a text there is none. */
  const accuracy = (): number | null => (seen?.kind === 'validation' ? seen.accuracy : null);
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
      reasoning: reasoningOf(mode, position.stage, options),
    },
    weights: await parameters.values(),
    tokenizer: tokenizer.toJson(),
  });
  const checkLoss = async (loss: number): Promise<void> => {
    if (Number.isFinite(loss)) return;
    const again = `begin again with a lower --lr${options.storage === 'f16' ? ' or with --storage f32' : ''}`;
    const newest = await latestCheckpoint(files, plan.dir);
    throw new UserError(
      `the loss is ${loss} at step ${position.step}, training has diverged: ${again}, from nothing or with --init ${newest}`,
    );
  };
  /** Of the last step, where nobody has read them. */
  let unread: StepValues | undefined;
  const save = async (): Promise<void> => {
    // A model that has diverged is not saved: --resume would take it.
    if (unread) {
      const [loss] = await readValues(unread);
      unread = undefined;
      await checkLoss(loss);
    }
    const [m, v] = [await learner.optimizer.m.values(), await learner.optimizer.v.values()];
    const trainer = {
      arm: mode,
      ...position,
      optimizerStep: learner.optimizer.steps,
      lossScale: await learner.optimizer.scale(),
      bestAccuracy: best,
      lastAccuracy: accuracy(),
      seconds: seconds(),
      finished: plan.finished,
      tuned: tuning.tuned,
      options,
    };
    const { extra } = parameters;
    await writeCheckpoint(files, plan.dir, { ...(await modelFiles()), trainer, moments: { m, v }, extra });
  };
  const stepTimes: number[] = [];
  let peakBytes = 0;
  let since = { time: performance.now(), flops: gpu.counts.flops, tokens: 0, steps: 0 };
  const restartClock = (): void => {
    since = { time: performance.now(), flops: gpu.counts.flops, tokens: 0, steps: 0 };
  };
  /** Reads a step's values, which waits for all steps before it, and tells how fast they went. */
  const report = async (values: StepValues, lr: number): Promise<void> => {
    const [[loss, gradNorm], scale] = await Promise.all([readValues(values), learner.optimizer.scale()]);
    const scaled = scale && { lossScale: scale.scale, skippedSteps: scale.skipped };
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
      ...scaled,
    });
    await checkLoss(loss);
    const done = shareDone(position, last, planned, accuracy(), options);
    progress.update({
      arm: mode,
      step: position.step,
      stage: position.stage,
      lastStage: last,
      done,
      loss,
      valid: seen,
      tokensPerSecond,
      ceilingShare,
      liveBytes,
      peakBytes,
      ...scaled,
      secondsLeft: secondsLeft(done, seconds()),
    });
    restartClock();
  };

  const beginStage = async (): Promise<void> => {
    position = nextStage(position);
    seen = null;
    stepTimes.length = 0; // A step's time is that of the last stage, with all its latents.
    if (options.resetOptimizer) await learner.optimizer.reset();
    await log({ kind: 'stage', ...common() });
    progress.message(`${mode}: stage ${position.stage} of ${last} begins at step ${position.step}`);
  };
  // A run killed between an arm's last checkpoint and its evaluation comes back to an arm that has ended.
  let ended = from !== undefined && course.ends(position, accuracy());
  // Every stage's kernels are compiled before the first step: a stage that compiled its own as it begins would stop
  // the run there and leave it with more memory than it had.
  const rehearse = async (): Promise<void> => {
    for (let stage = 0; stage <= last; stage++) {
      tuning.weigh(1 / (last + 1));
      learner.rehearse(course.rows(position.samples, stage));
      tuning.weigh(1 / (last + 1) / options.stageCheckEvery);
      await validation.rehearse(model, stage);
    }
  };
  if (!from) {
    await log({ kind: 'stage', ...common() });
    await tuning.prepare(rehearse);
    await save(); // From here on, a run killed at any moment can be resumed, with the kernels that it has now.
  } else if (!ended) {
    await rehearse();
    // An arm that ended with a stage, and now goes on for longer than it was to, has not begun the next one.
    if (course.stageEnds(position, accuracy())) await beginStage();
  }
  restartClock();
  while (!ended) {
    const { rows, lr } = course.step(position, learner.optimizer.steps);
    if (unread) freeValues(unread);
    unread = undefined;
    gpu.pool.resetPeak();
    const values = learner.step(rows, lr, position.step);
    peakBytes = Math.max(peakBytes, gpu.pool.memory.peak);
    position = advance(position, options.batch);
    since.tokens += values.tokens;
    since.steps++;
    if (position.step % options.logEvery === 0) await report(values, lr);
    else unread = values;

    const check = position.stageStep % options.stageCheckEvery === 0;
    if (check) {
      seen = await validation.validate(model, position.stage);
      await log({ ...{ kind: seen.kind, ...common() }, ...seen });
      best = Math.max(best, accuracy() ?? 0);
      restartClock();
    }
    const validated = check ? accuracy() : null;
    ended = course.ends(position, validated);
    if (!ended && course.stageEnds(position, validated)) await beginStage();
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
