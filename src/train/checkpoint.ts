// A checkpoint: a model folder plus the trainer's own two files. Knows names and formats; the file system is given.
import { MODES } from '../data/curriculum.ts';
import { UserError } from '../errors.ts';
import type { Files } from '../files.ts';
import { isObject, type Json, type JsonObject, parseJson, show } from '../json.ts';
import {
  type ModelFiles,
  modelContents,
  type ParameterValues,
  readModel,
  storedTensors,
} from '../model/folder.ts';
import { type FileTensor, openSafetensors, safetensorsParts } from '../model/safetensors.ts';
import { weightsFor } from '../model/weights.ts';
import type { TrainOptions } from './option-table.ts';
import type { ArmResult } from './results.ts';
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
  readonly bestAccuracy: number;
  /** Accuracy at the last validation; null before the first. */
  readonly lastAccuracy: number | null;
  /** Seconds that this arm has trained so far. */
  readonly seconds: number;
  readonly finished: readonly ArmResult[];
  /** The kernel variants chosen for the run; null where all are the defaults. */
  readonly tuned: Tuned | null;
  readonly options: TrainOptions;
}

/** AdamW's running means of the gradient and of its square. */
export interface Moments {
  readonly m: ParameterValues;
  readonly v: ParameterValues;
}

export interface Checkpoint extends ModelFiles {
  readonly trainer: TrainerState;
  readonly moments: Moments;
}

const TRAINER = 'trainer.json';
const OPTIMIZER = 'optimizer.safetensors';
const FORMAT = 1;

/** Writes `runDir`/checkpoints/`step` whole or not at all and returns its path. */
export async function writeCheckpoint(files: Files, runDir: string, checkpoint: Checkpoint): Promise<string> {
  const { config, trainer, moments } = checkpoint;
  const dir = `${runDir}/checkpoints/${trainer.step}`;
  const tensors = [...storedTensors(config, moments.m, 'm.'), ...storedTensors(config, moments.v, 'v.')];
  await files.writeFolderAtomic(dir, {
    ...modelContents(checkpoint),
    [OPTIMIZER]: safetensorsParts(tensors),
    [TRAINER]: `${JSON.stringify({ format: FORMAT, ...trainer, options: optionsToJson(trainer.options) }, null, 2)}\n`,
  });
  return dir;
}

/** Reads what writeCheckpoint wrote. Every fault is a UserError naming the file. */
export async function readCheckpoint(files: Files, dir: string): Promise<Checkpoint> {
  await requireFolder(files, dir);
  const model = await readModel(files, dir);
  const trainer = parseTrainer(await files.readText(`${dir}/${TRAINER}`), `${dir}/${TRAINER}`);
  const path = `${dir}/${OPTIMIZER}`;
  const { tensors } = await openSafetensors(await files.open(path), path);
  const moments = {
    m: await weightsFor(model.config, withPrefix(tensors, 'm.', path), path),
    v: await weightsFor(model.config, withPrefix(tensors, 'v.', path), path),
  };
  return { ...model, trainer, moments };
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

function withPrefix(
  tensors: ReadonlyMap<string, FileTensor>,
  prefix: string,
  path: string,
): Map<string, FileTensor> {
  const chosen = [...tensors].filter(([name]) => name.startsWith(prefix));
  if (chosen.length === 0) throw new UserError(`${path}: holds no tensors called ${prefix}…`);
  return new Map(chosen.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function parseTrainer(text: string, path: string): TrainerState {
  const json = parseJson(text, path);
  if (!isObject(json)) throw new UserError(`${path}: expected a JSON object, got ${show(json)}`);
  if (json.format !== FORMAT)
    throw new UserError(`${path}: format ${show(json.format)}, this version reads ${FORMAT}`);
  const options = optionsFromJson(json.options, `${path} (options)`);
  const number = (key: string) => numberOf(json, key, path);
  const arm = MODES.find(mode => mode === json.arm);
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
    bestAccuracy: number('bestAccuracy'),
    lastAccuracy: json.lastAccuracy === null ? null : number('lastAccuracy'),
    seconds: number('seconds'),
    // Results of an earlier version have no controls and no look inside.
    finished: json.finished.map(arm => ({ controls: [], inspection: null, ...arm }) as unknown as ArmResult),
    tuned: tunedOf(json.tuned, path),
    options,
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
