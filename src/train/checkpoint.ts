// A checkpoint: a model folder plus the trainer's own two files. Knows names and formats; the file system is given.
import { UserError } from '../errors.ts';
import type { Files } from '../files.ts';
import { isObject, type Json, type JsonObject, parseJson, show } from '../json.ts';
import type { NamedShape } from '../model/config.ts';
import {
  type ModelFiles,
  modelContents,
  type ParameterValues,
  readModel,
  storedTensors,
} from '../model/folder.ts';
import {
  type FileTensor,
  openSafetensors,
  type StoredTensor,
  safetensorsParts,
} from '../model/safetensors.ts';
import { weightsFor } from '../model/weights.ts';
import type { LossScale } from '../ops/loss-scale.ts';
import { ARMS } from './arm.ts';
import type { TrainOptions } from './option-table.ts';
import type { AnyResult } from './results.ts';
import { optionsFromJson, optionsToJson } from './settings.ts';
import { isChoiceTable, type Tuned } from './tuning-memory.ts';

/**
 * Everything beside weights and moments that the next step depends on. Random numbers have no state of their
 * own: each is a function of the seed in `options` and of `samples` or `step`.
 */
export interface TrainerState {
  /** The arm in training; the arms before it are in `finished`. */
  readonly arm: TrainOptions['mode'];
  /** Optimizer steps done in this arm. */
  readonly step: number;
  /** Samples trained on in this arm. */
  readonly samples: number;
  readonly stage: number;
  /** Optimizer steps done in this stage. */
  readonly stageStep: number;
  /** AdamW's step count, which starts again where the optimizer is reset. */
  readonly optimizerStep: number;
  /** With `--storage f16`; undefined where there is none. */
  readonly lossScale?: LossScale | undefined;
  readonly bestAccuracy: number;
  /** Accuracy at the last validation; null before the first. */
  readonly lastAccuracy: number | null;
  /** Seconds that this arm has trained so far. */
  readonly seconds: number;
  readonly finished: readonly AnyResult[];
  /** The kernel variants chosen for the run; null where all are the defaults. */
  readonly tuned: Tuned | null;
  readonly options: TrainOptions;
}

/** AdamW's running means of the gradient and of its square. */
export interface Moments {
  readonly m: ParameterValues;
  readonly v: ParameterValues;
}

/** `weights` and `moments` hold values of the parameters of the model and of `extra`. */
export interface Checkpoint extends ModelFiles {
  readonly trainer: TrainerState;
  readonly moments: Moments;
  /** Parameters that are trained with the model and are no part of it, so they lie beside the optimizer's state. */
  readonly extra: readonly NamedShape[];
}

const TRAINER = 'trainer.json';
const OPTIMIZER = 'optimizer.safetensors';
const FORMAT = 1;
/** Before the names of what is no part of the model. */
const EXTRA = 'extra.';

/** Writes `runDir`/checkpoints/`step` whole or not at all and returns its path. */
export async function writeCheckpoint(files: Files, runDir: string, checkpoint: Checkpoint): Promise<string> {
  const { config, weights, trainer, moments, extra } = checkpoint;
  const dir = `${runDir}/checkpoints/${trainer.step}`;
  const extras = (values: ParameterValues, prefix: string): [string, StoredTensor][] =>
    extra.map(([name, shape]) => [prefix + EXTRA + name, { shape, data: values.get(name)! }]);
  const tensors = [
    ...extras(weights, ''),
    ...(['m', 'v'] as const).flatMap(moment => [
      ...storedTensors(config, moments[moment], `${moment}.`),
      ...extras(moments[moment], `${moment}.`),
    ]),
  ];
  await files.writeFolderAtomic(dir, {
    ...modelContents(checkpoint),
    [OPTIMIZER]: safetensorsParts(tensors),
    [TRAINER]: formatTrainer(trainer),
  });
  return dir;
}

/** The text of trainer.json. */
export function formatTrainer(trainer: TrainerState): string {
  const json = { format: FORMAT, ...trainer, options: optionsToJson(trainer.options) };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/** The trainer's state alone, without any tensor. Faults as below. */
export async function readTrainer(files: Files, dir: string): Promise<TrainerState> {
  return parseTrainer(await files.readText(`${dir}/${TRAINER}`), `${dir}/${TRAINER}`);
}

/** Reads what writeCheckpoint wrote. Every fault is a UserError naming the file. */
export async function readCheckpoint(files: Files, dir: string): Promise<Checkpoint> {
  await requireFolder(files, dir);
  const model = await readModel(files, dir);
  const trainer = await readTrainer(files, dir);
  const path = `${dir}/${OPTIMIZER}`;
  const { tensors } = await openSafetensors(await files.open(path), path);
  const extra = [...named(tensors, EXTRA)].map(([name, { shape }]): NamedShape => [name, shape]);
  const extras = (prefix: string) => floatsOf(extra, named(tensors, prefix + EXTRA), path);
  const moment = async (prefix: string): Promise<ParameterValues> => {
    const own = [...named(tensors, prefix)].filter(([name]) => !name.startsWith(EXTRA));
    if (own.length === 0) throw new UserError(`${path}: holds no tensors called ${prefix}…`);
    return new Map([...(await weightsFor(model.config, new Map(own), path)), ...(await extras(prefix))]);
  };
  const moments = { m: await moment('m.'), v: await moment('v.') };
  const weights = new Map([...model.weights, ...(await extras(''))]);
  return { ...model, weights, trainer, moments, extra };
}

/**
 * The checkpoint of the most steps under `runDir`, or undefined before the first. Folders that a killed run
 * left unfinished have other names and do not count. A missing `runDir` is a UserError.
 */
export async function latestCheckpoint(files: Files, runDir: string): Promise<string | undefined> {
  await requireFolder(files, runDir);
  const dir = `${runDir}/checkpoints`;
  if (!(await files.exists(dir))) return undefined;
  const steps = (await files.list(dir)).filter(name => /^\d+$/.test(name)).map(Number);
  return steps.length === 0 ? undefined : `${dir}/${Math.max(...steps)}`;
}

async function requireFolder(files: Files, dir: string): Promise<void> {
  if (!(await files.exists(dir))) throw new UserError(`${dir}: no such folder`);
}

/** The tensors whose names begin with `prefix`, by what follows it. */
function named(tensors: ReadonlyMap<string, FileTensor>, prefix: string): Map<string, FileTensor> {
  const chosen = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(chosen.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Values of these parameters. Throws UserError where one is missing, of another shape or of integers. */
async function floatsOf(
  shapes: readonly NamedShape[],
  tensors: ReadonlyMap<string, FileTensor>,
  path: string,
): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const [name, shape] of shapes) {
    const tensor = tensors.get(name);
    const data = tensor?.shape.join() === shape.join() ? await tensor.read() : undefined;
    if (!(data instanceof Float32Array))
      throw new UserError(`${path}: ${EXTRA}${name} is not there with its moments, as numbers of one shape`);
    values.set(name, data);
  }
  return values;
}

function parseTrainer(text: string, path: string): TrainerState {
  const json = parseJson(text, path);
  if (!isObject(json)) throw new UserError(`${path}: expected a JSON object, got ${show(json)}`);
  if (json.format !== FORMAT)
    throw new UserError(`${path}: format ${show(json.format)}, this version reads ${FORMAT}`);
  const options = optionsFromJson(json.options, `${path} (options)`);
  const number = (key: string) => numberOf(json, key, path);
  const arm = ARMS.find(mode => mode === json.arm);
  if (arm === undefined) throw new UserError(`${path}: unknown arm ${show(json.arm)}`);
  if (!Array.isArray(json.finished) || !json.finished.every(isObject)) {
    throw new UserError(`${path}: "finished" must be a list of results`);
  }
  return {
    arm,
    step: number('step'),
    samples: number('samples'),
    stage: number('stage'),
    stageStep: number('stageStep'),
    optimizerStep: number('optimizerStep'),
    ...(json.lossScale !== undefined && { lossScale: lossScaleOf(json.lossScale, path) }),
    bestAccuracy: number('bestAccuracy'),
    lastAccuracy: json.lastAccuracy === null ? null : number('lastAccuracy'),
    seconds: number('seconds'),
    // Results of an earlier version have no controls and no look inside.
    finished: json.finished.map(arm => ({ controls: [], inspection: null, ...arm }) as unknown as AnyResult),
    tuned: tunedOf(json.tuned, path),
    options,
  };
}

function lossScaleOf(json: Json, path: string): LossScale {
  if (!isObject(json)) throw new UserError(`${path}: "lossScale" must be an object, got ${show(json)}`);
  const number = (key: keyof LossScale) => numberOf(json, key, `${path} (lossScale)`);
  return {
    scale: number('scale'),
    row: number('row'),
    skipped: number('skipped'),
    correction1: number('correction1'),
    correction2: number('correction2'),
  };
}

/** Checkpoints from before the tuner say nothing. */
function tunedOf(json: Json | undefined, path: string): Tuned | null {
  if (json === undefined || json === null) return null;
  if (!isObject(json) || typeof json.adapter !== 'string' || !isChoiceTable(json.choices))
    throw new UserError(
      `${path}: "tuned" must name an adapter and kernel variants that exist, got ${show(json)}`,
    );
  return { adapter: json.adapter, choices: json.choices };
}

function numberOf(json: JsonObject, key: string, path: string): number {
  const value = json[key];
  if (typeof value !== 'number' || value < 0) {
    throw new UserError(`${path}: "${key}" must be a number of at least 0, got ${show(value)}`);
  }
  return value;
}
