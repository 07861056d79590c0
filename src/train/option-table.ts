// The one table of the trainer's options. The command line, the config file, --help, the checks and the type
// TrainOptions all come from it: a new hyperparameter is one row here, plus its value in presets.ts if presets
// differ in it. Knows no preset's numbers and does no parsing.

import { DATA_FORMS } from '../data/formats.ts';
import { UserError } from '../errors.ts';
import { SCORINGS } from '../eval/scoring.ts';
import { type Json, show } from '../json.ts';
import { FEEDBACKS, isSchedule, SCHEDULES } from '../model/recurrence.ts';
import { ARMS } from './arm.ts';
import {
  choice,
  form,
  integer,
  integerList,
  type Kind,
  optional,
  orWord,
  path,
  range,
  real,
  toggle,
} from './option-kinds.ts';

type Group = 'Run' | 'Task and data' | 'Model' | 'Optimizer' | 'Curriculum' | 'Measuring and saving';

interface Row<T extends Json> {
  readonly group: Group;
  readonly kind: Kind<T>;
  readonly help: string;
  /** May differ when a run is resumed: it changes how long or where we compute and, rounding aside, not what. */
  readonly resumable?: true;
}

/** Every preset names its value. */
interface PresetRow<T extends Json> extends Row<T> {
  readonly perPreset: true;
}

/** One default for all; a preset may still set another. */
interface CommonRow<T extends Json> extends Row<T> {
  readonly perPreset: false;
  readonly fallback: T;
}

const perPreset = <T extends Json>(group: Group, kind: Kind<T>, help: string): PresetRow<T> => {
  return { group, kind, help, perPreset: true };
};
const common = <T extends Json>(group: Group, kind: Kind<T>, fallback: T, help: string): CommonRow<T> => {
  return { group, kind, help, fallback, perPreset: false };
};
const resumable = <R extends object>(row: R): R & { readonly resumable: true } => ({
  ...row,
  resumable: true,
});

export const OPTIONS = {
  preset: common(
    'Run',
    choice('smoke', 'pointer', 'prosqa-mini', 'prosqa'),
    'pointer',
    'set of defaults to start from',
  ),
  mode: common(
    'Run',
    { ...choice(...ARMS), placeholder: 'mode' },
    'coconut',
    'coconut: thoughts fed back take the place of the written steps, one step a stage; cot: all steps are written; no-cot: none; no-thought: as coconut, with nothing in the place of steps; pause: with a learned token in place of each thought; no-curriculum: all thoughts and no step from the start; icot: no thoughts, steps fade token by token; lm: no samples but a text, every token predicted from those before',
  ),
  bptt: perPreset(
    'Run',
    orWord('full', integer(1)),
    'truncation window: latents, or parallel iterations, that the gradient reaches back through',
  ),
  compare: common('Run', toggle(), false, 'then train cot and no-cot on the same number of samples'),
  steps: resumable(
    common('Run', optional(integer(1)), null, 'stop after so many optimizer steps in all, if not before'),
  ),
  samples: resumable(
    common(
      'Run',
      optional(integer(1)),
      null,
      'train on exactly so many samples (whole batches): the last stage lasts until then',
    ),
  ),
  seed: common('Run', integer(0, 2 ** 32 - 1), 0, 'same seed, same bits'),
  adapter: resumable(common('Run', choice('auto', 'gpu', 'software'), 'auto', 'where to compute')),
  memory: resumable(
    common(
      'Run',
      orWord('auto', real(0, Number.POSITIVE_INFINITY, 'open')),
      'auto',
      'GiB that the run may take on the device; auto: what the machine has free, where the device is its CPU, else no limit',
    ),
  ),
  tune: common(
    'Run',
    choice('off', 'quick', 'full'),
    'off',
    'measure first which kernel variants are fastest here, for up to 20 s or 2 minutes, and remember them',
  ),
  out: perPreset('Run', path('dir'), 'folder of the run'),
  init: common(
    'Run',
    optional(path('dir')),
    null,
    'start from the model in this folder: ours, or a GPT-2 as save_pretrained writes it',
  ),
  resume: common('Run', optional(path('dir')), null, "go on with this run's newest checkpoint"),
  config: common('Run', optional(path('file')), null, 'JSON object of options; flags win over it'),

  task: perPreset(
    'Task and data',
    choice('pointer', 'prosqa-mini', 'prosqa'),
    'generated task, unless --data',
  ),
  nodes: perPreset('Task and data', integer(3), 'nodes of a generated graph'),
  hops: perPreset('Task and data', range(1), 'hops from the start to the answer'),
  maxEdges: perPreset('Task and data', optional(integer(2)), 'draw again above so many edges'),
  data: common(
    'Task and data',
    optional(path('file')),
    null,
    `training samples: ${DATA_FORMS}; with --mode lm any text`,
  ),
  valid: common(
    'Task and data',
    optional(path('file')),
    null,
    'samples, or text, to measure on (else held out of --data)',
  ),
  rowTokens: common(
    'Task and data',
    orWord('auto', integer(2)),
    'auto',
    'lm: tokens of a row; auto: as many as the model has positions',
  ),
  tokenizer: common(
    'Task and data',
    optional(path('file')),
    null,
    "of a new model: a tokenizer.json of byte-level BPE, or a folder with one or with GPT-2's vocabulary and merges (else the words of the samples, or with --mode lm the bytes)",
  ),

  layers: perPreset('Model', integer(1), 'transformer blocks'),
  heads: perPreset('Model', integer(1), 'attention heads'),
  width: perPreset('Model', integer(1), 'embedding width, a multiple of the heads'),
  positions: common(
    'Model',
    orWord('auto', integer(2)),
    'auto',
    'longest row that the model has positions for; auto: what the task needs, and some room; with --mode lm 128',
  ),
  initScale: perPreset(
    'Model',
    choice('matched', 'gpt2'),
    'initial weights: thought and token embeddings of one length, or 0.02 throughout',
  ),
  feedback: common(
    'Model',
    choice(...FEEDBACKS),
    'hidden',
    'what is fed back as a thought: the hidden state, or that through a trained bridge (linear, mlp), or the expected token embedding (soft), or that of the likeliest token',
  ),
  feedbackScale: common(
    'Model',
    orWord('auto', real(0, Number.POSITIVE_INFINITY, 'open')),
    1,
    "what the hidden state is multiplied by as it is fed back; auto: what makes it as long as a token's embedding when the run starts",
  ),
  latents: common(
    'Model',
    form('sequential|jacobi:T', SCHEDULES, isSchedule),
    'sequential',
    'thoughts one after another, or all in parallel, T times, each time from the thoughts of the time before',
  ),

  batch: perPreset('Optimizer', integer(1), 'samples an optimizer step'),
  microBatch: resumable(
    perPreset(
      'Optimizer',
      orWord('all', integer(1)),
      'at most so many rows at once; gradients add up to the batch',
    ),
  ),
  recompute: resumable(
    common(
      'Optimizer',
      toggle(),
      false,
      'keep only the inputs of blocks, and run these again in the backward pass: less memory for a fifth more products',
    ),
  ),
  storage: common(
    'Optimizer',
    choice('f32', 'f16'),
    'f32',
    'how activations and their gradients are stored: f16 takes half the memory and scales the loss; parameters and all arithmetic stay f32; needs an adapter with shader-f16',
  ),
  dropout: common(
    'Optimizer',
    real(0, 1, 'half-open'),
    0,
    'share of embeddings, attention weights and residual sums that is set to 0 while training',
  ),
  lr: perPreset('Optimizer', real(0, Number.POSITIVE_INFINITY, 'open'), 'highest learning rate'),
  warmup: perPreset(
    'Optimizer',
    integer(0),
    'steps over which the rate rises from 0, at the start and after each optimizer reset',
  ),
  schedule: perPreset('Optimizer', choice('constant', 'cosine'), 'learning rate after the warm-up'),
  weightDecay: perPreset('Optimizer', real(0), 'decoupled decay of matrices and embeddings'),
  beta1: common('Optimizer', real(0, 1, 'half-open'), 0.9, "AdamW's decay of the mean"),
  beta2: common('Optimizer', real(0, 1, 'half-open'), 0.999, "AdamW's decay of the square"),
  eps: common(
    'Optimizer',
    real(0, Number.POSITIVE_INFINITY, 'open'),
    1e-8,
    "AdamW's guard against division by 0",
  ),
  clip: perPreset('Optimizer', real(0), 'largest global gradient norm; 0 does not clip'),

  latentsPerStep: perPreset('Curriculum', integer(1), 'latents that replace one written step (c)'),
  maxLatentStage: perPreset(
    'Curriculum',
    integer(0),
    'stage s replaces the first s steps, up to this s; a further stage drops all steps left',
  ),
  stageSteps: perPreset(
    'Curriculum',
    orWord('auto', integerList()),
    'optimizer steps of each stage, or advance on accuracy; a mode of one stage (cot, no-cot, no-curriculum) trains for the sum of a list',
  ),
  stageAccuracy: perPreset('Curriculum', real(0, 1), 'auto: a stage ends at this validation accuracy'),
  finalAccuracy: perPreset('Curriculum', real(0, 1), 'auto: the last stage ends at this validation accuracy'),
  stageCheckEvery: perPreset('Curriculum', integer(1), 'auto: optimizer steps between validations'),
  stageMaxSteps: perPreset('Curriculum', integer(1), 'auto: a stage ends after so many steps at the latest'),
  uniformProb: perPreset('Curriculum', real(0, 1), 'share of batches trained at a random earlier stage'),
  padLatents: perPreset('Curriculum', toggle(), 'short samples get as many latents as long ones'),
  icotTokens: common(
    'Curriculum',
    integer(1),
    8,
    'icot: stage s drops the first s times so many tokens of the steps, until none is left',
  ),
  stepSupervision: common(
    'Curriculum',
    real(0),
    0,
    'weight of a loss that has a throw-away head read its step from each thought; 0: no such head',
  ),
  resetOptimizer: perPreset('Curriculum', toggle(), 'fresh optimizer state in each stage'),
  endMarker: perPreset(
    'Curriculum',
    choice('latents', 'always'),
    'write the end marker after latents only, or in rows without latents too',
  ),

  validSamples: perPreset(
    'Measuring and saving',
    integer(1),
    'unseen samples of each validation; rows, of a text',
  ),
  score: common(
    'Measuring and saving',
    choice(...SCORINGS),
    'text',
    'an answer is right if it is the same text, or the same number: after the last #, without commas',
  ),
  evalSamples: perPreset(
    'Measuring and saving',
    integer(1),
    'unseen samples of the final evaluation; rows, of a text',
  ),
  reportSamples: common('Measuring and saving', integer(0), 12, 'samples shown in report.html'),
  logEvery: common(
    'Measuring and saving',
    integer(1),
    10,
    'optimizer steps between records in metrics.jsonl',
  ),
  checkpointEvery: resumable(
    perPreset('Measuring and saving', integer(1), 'optimizer steps between checkpoints'),
  ),
} as const;

type Table = typeof OPTIONS;
type Value<R> = R extends Row<infer T> ? T : never;

export type OptionKey = keyof Table;
/** The options of a run. Every value is its own JSON form; null where an optional one is not given. */
export type TrainOptions = { readonly [K in OptionKey]: Value<Table[K]> };

type PresetKey = { [K in OptionKey]: Table[K]['perPreset'] extends true ? K : never }[OptionKey];
/** What a preset must say, and what it may. */
export type Preset = Pick<TrainOptions, PresetKey> & Partial<Omit<TrainOptions, PresetKey | 'preset'>>;
export type PresetName = TrainOptions['preset'];

export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];

/** `microBatch` → `micro-batch`: the flag without its dashes, and the key in a config file. */
export function flagName(key: OptionKey): string {
  return key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

/** Some options, as JSON values that have been accepted. */
export type Values = Partial<Record<OptionKey, Json>>;

/**
 * The value of an option, or a UserError that begins with `place` and names the legal values. `typed` is what
 * the user wrote, where that is not the value itself.
 */
export function acceptOption(key: OptionKey, value: Json, place: string, typed = value): Json {
  const kind = OPTIONS[key].kind as Kind<Json>;
  const accepted = kind.accept(value);
  if (accepted === undefined) throw new UserError(`${place} must be ${kind.legal}, got ${show(typed)}`);
  return accepted;
}

/** A value as the command line would spell it. */
export function showOption(key: OptionKey, value: Json): string {
  return (OPTIONS[key].kind as Kind<Json>).show(value);
}
