// The coming steps of a run as lines of JSON, for a trainer that is not this one (tools/scale/train.py):
// node tools/scale/rows.ts --run DIR --ranks N [--more STEPS] [--micro-batch ROWS|all]
//
// A head; for each step a line of its own and one a process, with the micro-batches that are its share; an end. Rows,
// stages and rates are those that train.ts itself would take from the same checkpoint on. Reads no weights, writes
// no file; knows nothing of what is computed.
import { collate, type Row } from '../../src/data/batch.ts';
import { UserError } from '../../src/errors.ts';
import { formatConfig } from '../../src/model/config.ts';
import { readDescription } from '../../src/model/folder.ts';
import { PUBLISHED } from '../../src/model/recurrence.ts';
import { nodeFiles as files } from '../../src/platform/files.ts';
import { runMain } from '../../src/platform/main.ts';
import { armFolder, newestCheckpointFolder } from '../../src/train/arms.ts';
import { formatTrainer, readTrainer, type TrainerState } from '../../src/train/checkpoint.ts';
import { advance, Course, nextStage, positionOf, reasoningOf } from '../../src/train/course.ts';
import { truncateMetrics } from '../../src/train/metrics.ts';
import { integer, orWord, path } from '../../src/train/option-kinds.ts';
import type { TrainOptions } from '../../src/train/option-table.ts';
import { prepare, type Setup } from '../../src/train/prepare.ts';
import type { Position } from '../../src/train/schedule.ts';
import { labelCount, microBatches } from '../../src/train/step.ts';
import { command, legal, parseFlags } from '../flags.ts';
import { checkSupport } from './support.ts';

const FORMAT = 1;

interface Flags {
  readonly run: string;
  readonly ranks: number;
  readonly more?: number;
  readonly microBatch?: number | 'all';
}

const program = command('scale/rows', 'Writes the coming steps of a run to the output, as lines of JSON.')
  .requiredOption(
    '--run <dir>',
    "a run's folder: its newest checkpoint is the start",
    legal('--run', path('dir')),
  )
  .requiredOption('--ranks <n>', 'processes that share each batch', legal('--ranks', integer(1)))
  .option('--more <n>', "steps; by default to the arm's end", legal('--more', integer(1)))
  .option(
    '--micro-batch <n|all>',
    "rows at once in each process; by default the run's",
    legal('--micro-batch', orWord('all', integer(1))),
  );

/** A run at its newest checkpoint. */
interface Run {
  readonly checkpoint: string;
  readonly trainer: TrainerState;
  readonly options: TrainOptions;
  readonly setup: Setup;
  readonly course: Course;
}

async function openRun({ run, ranks }: Flags): Promise<Run> {
  const checkpoint = await newestCheckpointFolder(run, files, '--run');
  const trainer = await readTrainer(files, checkpoint);
  const options = { ...trainer.options, resume: run, out: run };
  checkSupport(options);
  if (options.batch % ranks !== 0)
    throw new UserError(`--ranks ${ranks}: a batch of ${options.batch} rows has no ${ranks} equal shares`);
  // The weights are for the other trainer to read.
  const start = { ...(await readDescription(files, checkpoint)), trainer, weights: new Map() };
  const setup = await prepare(options, files, start);
  const samples = trainer.finished[0]?.samples ?? options.samples;
  const course = new Course({ mode: trainer.arm, samples }, setup, options);
  if (course.ends(trainer, trainer.lastAccuracy))
    throw new UserError(
      `--run ${run}: ${trainer.arm} is trained to its end; node train.ts --resume ${run} goes on`,
    );
  return { checkpoint, trainer, options, setup, course };
}

/** What holds for all steps. */
async function head({ checkpoint, trainer, options }: Run, ranks: number): Promise<object> {
  const { beta1, beta2, eps, weightDecay, clip, bptt } = options;
  const metrics = `${options.out}/metrics.jsonl`;
  const kept = truncateMetrics(await files.readText(metrics), trainer);
  const { arm, step, optimizerStep, seconds } = trainer;
  return {
    format: FORMAT,
    run: options.out,
    checkpoint,
    checkpoints: `${armFolder(options.out, arm, options)}/checkpoints`,
    ranks,
    // What a resumed run keeps of its records: so many bytes.
    metrics: { path: metrics, bytes: Buffer.byteLength(kept) },
    arm,
    step,
    optimizerStep,
    seconds,
    window: bptt,
    adamw: { beta1, beta2, eps, weightDecay, clip },
    note:
      options.stageSteps === 'auto'
        ? `stages end on accuracy, which only train.ts measures: here this one goes on until --stage-max-steps ${options.stageMaxSteps}, or for --more steps`
        : null,
  };
}

/** The lines of each step, and of the end. */
function* steps(
  { trainer, options, setup, course }: Run,
  { ranks, more, microBatch }: Flags,
): Generator<string> {
  const share = options.batch / ranks;
  const size = microBatch ?? options.microBatch;
  const partsOf = (rows: readonly Row[]): unknown[] =>
    microBatches(rows, options.bptt, PUBLISHED.schedule, size === 'all' ? share : size).map(part => {
      const { ids, positions, labels, first, latents, ...sizes } = collate(part, setup.tokenizer.pad);
      const plain = { ids, positions, labels, first, latents };
      return { ...sizes, ...Object.fromEntries(Object.entries(plain).map(([key, all]) => [key, [...all]])) };
    });
  const saved = (position: Position, optimizerStep: number): object => {
    const config = { ...setup.config, reasoning: reasoningOf(trainer.arm, position.stage, options) };
    const { step, samples, stage, stageStep } = position;
    // Nobody has measured these weights.
    const now = { step, samples, stage, stageStep, optimizerStep, lastAccuracy: null };
    return { config: formatConfig(config), trainer: formatTrainer({ ...trainer, ...now, options }) };
  };
  const end = trainer.step + (more ?? Number.POSITIVE_INFINITY);
  let position: Position = trainer;
  let sinceReset = trainer.optimizerStep;
  let ended = false;
  while (!ended && position.step < end) {
    const { rows, lr } = course.step(position, sinceReset);
    position = advance(position, options.batch);
    sinceReset++;
    const record = positionOf(position);
    ended = course.ends(position, null);
    const staged = !ended && course.stageEnds(position, null);
    if (staged) position = nextStage(position);
    const reset = staged && options.resetOptimizer;
    if (reset) sinceReset = 0;
    const saves = ended || position.step >= end || position.step % options.checkpointEvery === 0;
    yield JSON.stringify({
      ...record,
      lr,
      labels: rows.reduce((sum, row) => sum + labelCount(row), 0),
      tokens: rows.reduce((sum, row) => sum + row.tokens.length, 0),
      logs: record.step % options.logEvery === 0,
      // The stage that begins after this step, with moments of zero where they are forgotten.
      next: staged ? position.stage : null,
      reset,
      save: saves ? saved(position, sinceReset) : null,
    });
    for (let rank = 0; rank < ranks; rank++)
      yield JSON.stringify(partsOf(rows.slice(rank * share, (rank + 1) * share)));
  }
  const then = `node train.ts --resume ${options.out}`;
  yield JSON.stringify({
    end: ended ? `${trainer.arm} is trained to its end; ${then} evaluates it` : `go on here, or with ${then}`,
  });
}

/** Writes a line once there is room; false where nobody reads on. */
function put(line: string): Promise<boolean> {
  return new Promise(resolve => process.stdout.write(`${line}\n`, fault => resolve(!fault)));
}

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const run = await openRun(flags);
  // A reader that ends first, as at a fault of its own, says so itself.
  process.stdout.on('error', () => {});
  if (!(await put(JSON.stringify(await head(run, flags.ranks))))) return;
  for (const line of steps(run, flags)) if (!(await put(line))) return;
});
