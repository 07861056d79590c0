// What a run on samples starts from: samples, tokenizer, model config and first weights. Knows options, data and formats;
// knows no device.
import { type CurriculumOptions, latentsOf, longestRow, rowOf } from '../data/curriculum.ts';
import { parseData } from '../data/formats.ts';
import type { Sample } from '../data/sample.ts';
import { generatedSource, holdOut, type SampleSource, type Split, shuffledSource } from '../data/source.ts';
import { TASKS } from '../data/tasks.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { WordTokenizer } from '../data/word-tokenizer.ts';
import { UserError } from '../errors.ts';
import { type OpenModel, openModel, openTokenizer } from '../eval/open.ts';
import type { Files } from '../files.ts';
import { show } from '../json.ts';
import { bridgeShapes, type ModelConfig } from '../model/config.ts';
import { type ModelFiles, type ParameterValues, readModel, readTokenizer } from '../model/folder.ts';
import { withBridge } from '../model/init.ts';
import { recurrenceOf } from '../model/recurrence.ts';
import { feedsBack } from './arm.ts';
import { armFolder, armModes } from './arms.ts';
import type { Checkpoint } from './checkpoint.ts';
import { freshModel } from './fresh-model.ts';
import { withTrainedMarkers } from './markers.ts';
import type { TrainOptions } from './option-table.ts';
import { lastStage, type MostReasoning } from './schedule.ts';

/** Rows looked at to learn how long a generated task's rows get, and the room left above the longest. */
const ROWS_MEASURED = 2000;
const ROOM = 1.15;

export interface SampleSetup {
  readonly train: SampleSource;
  /** For validation while training, and for the final evaluation: never trained on. */
  readonly valid: readonly Sample[];
  readonly test: readonly Sample[];
  readonly tokenizer: Tokenizer;
  readonly config: ModelConfig;
  readonly weights: ParameterValues;
  readonly curriculum: CurriculumOptions;
  readonly most: MostReasoning;
  /** Most tokens of a single step. */
  readonly longestStep: number;
  /** What the user should know of the data before the run begins, a line each. */
  readonly notes: readonly string[];
}

/** What of a checkpoint a run begins with. */
export type Start = Pick<Checkpoint, keyof ModelFiles | 'trainer'>;

/**
 * Reads or generates everything; a run that goes on `from` a checkpoint has its model from there. Every fault in a
 * file is a UserError of one line that names it.
 */
export async function prepareSamples(
  options: TrainOptions,
  files: Files,
  from?: Start,
): Promise<SampleSetup> {
  const { train, valid, test, known, notes } = await samplesOf(options, files);
  const curriculum: CurriculumOptions = options;
  const { tokenizer, config, weights } = from
    ? await resumed(from, options, files)
    : options.init
      ? begunWith(openModel(await readModel(files, options.init), options.init), options)
      : await fresh(options, files, known, curriculum);
  const most = mostReasoning(known, tokenizer);
  checkStages(options, most);
  const arms = armModes(options).flatMap(mode =>
    mode === 'lm' ? [] : [{ mode, last: lastStage(mode, options, most) }],
  );
  const lengthOf = (sample: Sample): number =>
    Math.max(...arms.map(({ mode, last }) => longestRow(sample, tokenizer, mode, last, options)));
  checkLengths(options, config, [...known, ...valid, ...test], lengthOf);
  const held = [...new Set([...valid, ...test])];
  const strange = checkWords(options, tokenizer, known, held);
  const longestStep = greatest(known, ({ steps }) =>
    steps.reduce((most, step) => Math.max(most, tokenizer.encodePart('step', step).length), 0),
  );
  return {
    ...{ valid, test, tokenizer, config, weights, curriculum, most, longestStep },
    train: train(sample => lengthOf(sample) <= config.positions),
    notes: [...notes, ...strange],
  };
}

/** A model that others have trained, or an earlier run, as this run begins with it. */
function begunWith(model: OpenModel, options: TrainOptions): OpenModel {
  return withRecurrence(withTrainedMarkers(model, options), options);
}

/**
 * A model of any recurrence, to be trained in that of the options. A bridge that it has is kept, one that it lacks added;
 * a factor that it has is kept too, one that is to be measured is 1 until then (feedback-scale.ts).
 */
function withRecurrence(model: OpenModel, options: TrainOptions): OpenModel {
  const { feedback: had, scale: learnt = 1 } = model.config.recurrence ?? {};
  const { feedback, feedbackScale, latents } = options;
  const scale = feedbackScale === 'auto' ? learnt : feedbackScale;
  const config = { ...model.config, recurrence: recurrenceOf(feedback, latents, scale) };
  if (learnt !== 1 && learnt !== scale && feedback === 'hidden' && feedsBack(options.mode))
    throw new UserError(
      `--feedback-scale ${scale}: the model in ${options.init} was trained with --feedback-scale ${learnt}; give that, or auto`,
    );
  const bridge = bridgeShapes(model.config).length > 0;
  if (bridge && had !== options.feedback)
    throw new UserError(
      `--feedback ${options.feedback}: the model in ${options.init} has a bridge that was trained with --feedback ${had}; give that`,
    );
  return {
    ...model,
    config,
    weights: bridge ? model.weights : withBridge(config, model.weights, options.seed),
  };
}

interface Samples {
  /** Those of a file are all there, and fit or are refused. Of a task so few do not fit that they are drawn again. */
  readonly train: (fits: (sample: Sample) => boolean) => SampleSource;
  readonly valid: readonly Sample[];
  readonly test: readonly Sample[];
  /** All training samples of a file, or enough of a task's to know their lengths. */
  readonly known: readonly Sample[];
  readonly notes: readonly string[];
}

async function samplesOf(options: TrainOptions, files: Files): Promise<Samples> {
  const { seed, validSamples, evalSamples } = options;
  if (options.data === null) {
    const { task, nodes, hops, maxEdges } = options;
    const source = (split: Split, fits?: (sample: Sample) => boolean): SampleSource =>
      generatedSource(task, { nodes, hops, maxEdges }, seed, split, fits);
    const take = (from: SampleSource, count: number): Sample[] =>
      Array.from({ length: count }, (_, i) => from.at(i));
    return {
      train: fits => source('train', fits),
      valid: take(source('valid'), validSamples),
      test: take(source('test'), evalSamples),
      known: take(source('train'), ROWS_MEASURED),
      notes: [],
    };
  }
  const all = parseData(await files.readText(options.data), options.data);
  if (options.valid !== null) {
    const held = parseData(await files.readText(options.valid), options.valid);
    const valid = held.slice(0, validSamples);
    // The part that validation did not see, where there is one: it chose when stages end.
    const rest = held.slice(validSamples);
    return {
      train: () => shuffledSource(all, seed),
      valid,
      test: (rest.length > 0 ? rest : held).slice(0, evalSamples),
      known: all,
      notes: rest.length > 0 ? [] : [sameSaid(options.valid, `${held.length} samples`)],
    };
  }
  const count = Math.min(validSamples + evalSamples, Math.floor(all.length / 5));
  if (count < 2)
    throw new UserError(`${options.data}: ${all.length} samples are too few to hold some out; give --valid`);
  const { train, valid } = holdOut(all, count, seed);
  const half = Math.max(1, Math.round((count * validSamples) / (validSamples + evalSamples)));
  return {
    train: () => shuffledSource(train, seed),
    valid: valid.slice(0, half),
    test: valid.slice(half),
    known: train,
    notes: [],
  };
}

/** What the user is told where validation leaves nothing for the final evaluation: it then has the same. */
export function sameSaid(path: string, all: string): string {
  return `${path}: validation while training takes all ${all}, so the final evaluation is on them too and not on unseen ones; fewer --valid-samples leave it some`;
}

/** The run's own model. Arms still to come begin where the first did: at the weights of its checkpoint 0. */
async function resumed(from: Start, options: TrainOptions, files: Files): Promise<OpenModel> {
  const { arm, step } = from.trainer;
  const dir = `${armFolder(options.out, arm, options)}/checkpoints/${step}`;
  const opened = openModel(from, dir);
  if (!options.compare) return opened;
  return { ...opened, weights: (await readModel(files, `${options.out}/checkpoints/0`)).weights };
}

async function fresh(
  options: TrainOptions,
  files: Files,
  known: readonly Sample[],
  curriculum: CurriculumOptions,
): Promise<OpenModel> {
  const { feedback, feedbackScale, latents } = options;
  const tokenizer = await tokenizerOf(options, files, known);
  const longest = greatest(known, sample => roomFor(sample, tokenizer, curriculum));
  const positions = options.positions === 'auto' ? Math.ceil((longest * ROOM) / 16) * 16 : options.positions;
  const recurrence = recurrenceOf(feedback, latents, feedbackScale === 'auto' ? 1 : feedbackScale);
  return freshModel(tokenizer, positions, recurrence, options);
}

async function tokenizerOf(
  options: TrainOptions,
  files: Files,
  known: readonly Sample[],
): Promise<Tokenizer> {
  const { tokenizer, data, task, nodes, hops, maxEdges } = options;
  if (tokenizer !== null) return openTokenizer(await readTokenizer(files, tokenizer), tokenizer, undefined);
  if (data !== null) return WordTokenizer.fromSamples(known);
  return WordTokenizer.fromWords(TASKS[task].words({ nodes, hops, maxEdges }));
}

/**
 * Columns for all that a sample could make: every step written, every latent, both markers. The same in every mode, so
 * that models of all modes begin with the same weights.
 */
function roomFor(sample: Sample, tokenizer: Tokenizer, curriculum: CurriculumOptions): number {
  const written = rowOf(sample, tokenizer, 'cot', 0, curriculum).tokens.length;
  return written + 2 + latentsOf(sample.steps.length, curriculum.maxLatentStage, curriculum);
}

export function mostReasoning(samples: readonly Sample[], tokenizer: Tokenizer): MostReasoning {
  const tokens = ({ steps }: Sample): number =>
    steps.reduce((sum, step) => sum + tokenizer.encodePart('step', step).length, 0);
  return { steps: greatest(samples, ({ steps }) => steps.length), tokens: greatest(samples, tokens) };
}

/** Of files so long that their numbers are too many for the arguments of one Math.max. */
function greatest(samples: readonly Sample[], of: (sample: Sample) => number): number {
  return samples.reduce((most, sample) => Math.max(most, of(sample)), 0);
}

/** How many stages drop tokens depends on the data, so a list of lengths can only be checked here. */
function checkStages(options: TrainOptions, most: MostReasoning): void {
  const { mode, stageSteps, icotTokens } = options;
  if (mode !== 'icot' || stageSteps === 'auto') return;
  const stages = lastStage(mode, options, most) + 1;
  if (stageSteps.length !== stages)
    throw new UserError(
      `--stage-steps names ${stageSteps.length} stages, but --icot-tokens ${icotTokens} makes ${stages} of reasoning of up to ${most.tokens} tokens: name ${stages}, or give --stage-steps auto`,
    );
}

/** Samples that the model has no room for are refused before anything is trained. */
function checkLengths(
  options: TrainOptions,
  { positions }: ModelConfig,
  samples: readonly Sample[],
  lengthOf: (sample: Sample) => number,
): void {
  for (const sample of samples) {
    const length = lengthOf(sample);
    if (length > positions)
      throw new UserError(
        `${nameOf(options)}: a row of ${length} tokens is longer than the model's ${positions} positions`,
      );
  }
}

/**
 * A vocabulary that comes from elsewhere must have every word. One that is made here has those of training; what is held
 * out may have others, of which the notes tell.
 */
function checkWords(
  options: TrainOptions,
  tokenizer: Tokenizer,
  known: readonly Sample[],
  held: readonly Sample[],
): string[] {
  if (tokenizer.unknown < 0) return [];
  const textOf = ({ question, steps, answer }: Sample) => [question, ...steps, answer].join(' ');
  const strange = (sample: Sample): boolean => tokenizer.encode(textOf(sample)).includes(tokenizer.unknown);
  const { init, tokenizer: given } = options;
  const origin = init === null ? `the tokenizer ${given}` : `the model in ${init}`;
  const refused = init === null && given === null ? undefined : [...known, ...held].find(strange);
  if (refused)
    throw new UserError(
      `${nameOf(options)}: ${show(textOf(refused), 40)} has words that ${origin} does not know`,
    );
  const count = held.filter(strange).length;
  if (count === 0) return [];
  return [
    `${options.valid ?? options.data}: ${count} of ${held.length} samples that are held out have words that no training sample has; the model cannot read these words, nor write them`,
  ];
}

function nameOf({ data, task }: TrainOptions): string {
  return data ?? `the task ${task}`;
}
