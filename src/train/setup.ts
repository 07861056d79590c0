// What a run starts from: samples, tokenizer, model config and first weights. Knows options, data and formats;
// knows no device.
import { type CurriculumOptions, latentsOf, longestRow, rowOf } from '../data/curriculum.ts';
import { parseData } from '../data/formats.ts';
import type { Sample } from '../data/sample.ts';
import { generatedSource, holdOut, type SampleSource, shuffledSource } from '../data/source.ts';
import { TASKS } from '../data/tasks.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { WordTokenizer } from '../data/word-tokenizer.ts';
import { UserError } from '../errors.ts';
import { type OpenModel, openModel } from '../eval/open.ts';
import type { Files } from '../files.ts';
import { show } from '../json.ts';
import { bridgeShapes, type ModelConfig, parameterCount } from '../model/config.ts';
import { type ModelFiles, type ParameterValues, readModel } from '../model/folder.ts';
import { initialWeights, withBridge } from '../model/init.ts';
import { PUBLISHED, type Recurrence } from '../model/recurrence.ts';
import { armFolder, armModes } from './arms.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { TrainOptions } from './option-table.ts';
import { lastStage, type MostReasoning } from './schedule.ts';

/** Rows looked at to learn how long a generated task's rows get, and the room left above the longest. */
const ROWS_MEASURED = 2000;
const ROOM = 1.15;
/** A model of more would not fit in the arrays that its files are read into. */
const MOST_PARAMETERS = 2 ** 30;

export interface Setup {
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
}

/** What of a checkpoint a run begins with. */
export type Start = Pick<Checkpoint, keyof ModelFiles | 'trainer'>;

/**
 * Reads or generates everything; a run that goes on `from` a checkpoint has its model from there. Every fault in a
 * file is a UserError of one line that names it.
 */
export async function prepare(options: TrainOptions, files: Files, from?: Start): Promise<Setup> {
  const { train, valid, test, known } = await samplesOf(options, files);
  const curriculum: CurriculumOptions = options;
  const { tokenizer, config, weights } = from
    ? await resumed(from, options, files)
    : options.init
      ? withRecurrence(openModel(await readModel(files, options.init), options.init), options)
      : fresh(options, known, curriculum);
  const most = mostReasoning(known, tokenizer);
  checkStages(options, most);
  checkFit(options, config, tokenizer, [...known, ...valid, ...test], most);
  const longestStep = greatest(known, ({ steps }) =>
    steps.reduce((most, step) => Math.max(most, tokenizer.encodePart('step', step).length), 0),
  );
  return { train, valid, test, tokenizer, config, weights, curriculum, most, longestStep };
}

/** What the options say of the recurrence, as a config holds it: nothing where it is the published one. */
function recurrenceOf({ feedback, latents: schedule }: TrainOptions): Recurrence | undefined {
  const published = feedback === PUBLISHED.feedback && schedule === PUBLISHED.schedule;
  return published ? undefined : { feedback, schedule };
}

/** A model of any recurrence, to be trained in that of the options. A bridge that it has is kept, one that it lacks added. */
function withRecurrence(model: OpenModel, options: TrainOptions): OpenModel {
  const config = { ...model.config, recurrence: recurrenceOf(options) };
  const had = model.config.recurrence?.feedback;
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
  readonly train: SampleSource;
  readonly valid: readonly Sample[];
  readonly test: readonly Sample[];
  /** All training samples of a file, or enough of a task's to know their lengths. */
  readonly known: readonly Sample[];
}

async function samplesOf(options: TrainOptions, files: Files): Promise<Samples> {
  const { seed, validSamples, evalSamples } = options;
  if (options.data === null) {
    const { task, nodes, hops, maxEdges } = options;
    const source = (split: 'train' | 'valid' | 'test'): SampleSource =>
      generatedSource(task, { nodes, hops, maxEdges }, seed, split);
    const take = (from: SampleSource, count: number): Sample[] =>
      Array.from({ length: count }, (_, i) => from.at(i));
    return {
      train: source('train'),
      valid: take(source('valid'), validSamples),
      test: take(source('test'), evalSamples),
      known: take(source('train'), ROWS_MEASURED),
    };
  }
  const all = parseData(await files.readText(options.data), options.data);
  if (options.valid !== null) {
    const held = parseData(await files.readText(options.valid), options.valid);
    const valid = held.slice(0, validSamples);
    // The part that validation did not see, where there is one: it chose when stages end.
    const rest = held.length > validSamples ? held.slice(validSamples) : held;
    return { train: shuffledSource(all, seed), valid, test: rest.slice(0, evalSamples), known: all };
  }
  const count = Math.min(validSamples + evalSamples, Math.floor(all.length / 5));
  if (count < 2)
    throw new UserError(`${options.data}: ${all.length} samples are too few to hold some out; give --valid`);
  const { train, valid } = holdOut(all, count, seed);
  const half = Math.max(1, Math.round((count * validSamples) / (validSamples + evalSamples)));
  return {
    train: shuffledSource(train, seed),
    valid: valid.slice(0, half),
    test: valid.slice(half),
    known: train,
  };
}

/** The run's own model. Arms still to come begin where the first did: at the weights of its checkpoint 0. */
async function resumed(from: Start, options: TrainOptions, files: Files): Promise<OpenModel> {
  const { arm, step } = from.trainer;
  const dir = `${armFolder(options.out, arm, options)}/checkpoints/${step}`;
  const opened = openModel(from, dir);
  if (!options.compare) return opened;
  return { ...opened, weights: (await readModel(files, `${options.out}/checkpoints/0`)).weights };
}

function fresh(options: TrainOptions, known: readonly Sample[], curriculum: CurriculumOptions): OpenModel {
  const { task, nodes, hops, maxEdges, width, heads, layers } = options;
  const tokenizer =
    options.data === null
      ? WordTokenizer.fromWords(TASKS[task].words({ nodes, hops, maxEdges }))
      : WordTokenizer.fromSamples(known);
  const longest = greatest(known, sample => roomFor(sample, tokenizer, curriculum));
  const positions = options.positions === 'auto' ? Math.ceil((longest * ROOM) / 16) * 16 : options.positions;
  const config = {
    ...configFor(tokenizer, { width, heads, layers }, positions),
    recurrence: recurrenceOf(options),
  };
  const count = parameterCount({ ...config, layers: 1 }) * config.layers;
  if (count > MOST_PARAMETERS)
    throw new UserError(
      `--width ${width} and --layers ${layers} make a model of more than ${MOST_PARAMETERS} parameters: lower them`,
    );
  return { tokenizer, config, weights: initialWeights(config, options.initScale, options.seed) };
}

/** A fresh model's config: GPT-2's proportions, for rows of up to `positions` columns. */
export function configFor(
  tokenizer: Tokenizer,
  { width, heads, layers }: Pick<ModelConfig, 'width' | 'heads' | 'layers'>,
  positions: number,
): ModelConfig {
  return {
    vocabSize: tokenizer.size,
    positions,
    width,
    layers,
    heads,
    inner: 4 * width,
    layerNormEpsilon: 1e-5,
    bosTokenId: undefined,
    eosTokenId: tokenizer.eos,
    padTokenId: tokenizer.pad,
    latentTokenId: tokenizer.latent,
    startLatentId: tokenizer.startLatent,
    endLatentId: tokenizer.endLatent,
    reasoning: undefined,
  };
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

/** Samples that the model cannot read are refused before anything is trained. */
function checkFit(
  options: TrainOptions,
  config: ModelConfig,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  most: MostReasoning,
): void {
  const where = options.data ?? `the task ${options.task}`;
  const origin = options.resume ?? options.init;
  const arms = armModes(options).map(mode => ({ mode, last: lastStage(mode, options, most) }));
  for (const sample of samples) {
    const lengths = arms.map(({ mode, last }) => longestRow(sample, tokenizer, mode, last, options));
    const length = Math.max(...lengths);
    if (length > config.positions)
      throw new UserError(
        `${where}: a row of ${length} tokens is longer than the model's ${config.positions} positions`,
      );
    if (origin === null || tokenizer.unknown < 0) continue;
    const text = [sample.question, ...sample.steps, sample.answer].join(' ');
    if (tokenizer.encode(text).includes(tokenizer.unknown))
      throw new UserError(`${where}: ${show(text, 40)} has words that the model in ${origin} does not know`);
  }
}
