// From a declared matrix to its cells: complete options, commands, identity, what each depends on, and the order in
// which they run. Knows the option table; runs nothing and reads no file.
import { createHash } from 'node:crypto';
import { UserError } from '../../src/errors.ts';
import type { Json } from '../../src/json.ts';
import { checkTogether } from '../../src/train/option-checks.ts';
import {
  acceptOption,
  flagName,
  OPTION_KEYS,
  OPTIONS,
  type OptionKey,
  showOption,
  type TrainOptions,
  type Values,
} from '../../src/train/option-table.ts';
import { withPreset } from '../../src/train/presets.ts';
import type { Experiment, Look, Measurement, Options } from './experiment.ts';

interface CellCommon {
  /** The same for cells that do the same, in whichever experiment. */
  readonly id: string;
  readonly arm: string;
  readonly seed: number;
  /** As declared. */
  readonly minutes: number;
}

export interface TrainingCell extends CellCommon {
  readonly kind: 'train';
  readonly options: TrainOptions;
  /** Of train.ts, without those of folders and adapter. */
  readonly flags: readonly string[];
  readonly looks: readonly Look[];
  /** The cell whose model it starts from. */
  readonly from: TrainingCell | null;
}

export interface MeasuringCell extends CellCommon {
  readonly kind: 'measure';
  readonly script: string;
  readonly flags: readonly string[];
}

export type Cell = TrainingCell | MeasuringCell;

/** An arm's cell of each seed, seed by seed: where time runs out, every arm has been seen as often as any other. */
export function cellsOf(experiment: Experiment, seeds: number): Cell[] {
  return Array.from({ length: seeds }, (_, seed) =>
    experiment.arms.map(({ name, minutes, work }): Cell => {
      if (work.kind === 'measure') return measuringCell(name, seed, minutes, work);
      const from = work.from
        ? trainingCell(work.from.name, seed, work.from.minutes, work.from.options, [], null)
        : null;
      return trainingCell(name, seed, minutes, work.options, work.looks, from);
    }),
  ).flat();
}

/** Each cell after the one that it starts from, and none of those twice. */
export function withPrerequisites(cells: readonly Cell[]): Cell[] {
  const seen = new Set<string>();
  return cells.flatMap(cell => {
    if (cell.kind === 'measure' || cell.from === null || seen.has(cell.from.id)) return [cell];
    seen.add(cell.from.id);
    return [cell.from, cell];
  });
}

function trainingCell(
  arm: string,
  seed: number,
  minutes: number,
  given: Options,
  looks: readonly Look[],
  from: TrainingCell | null,
): TrainingCell {
  const values: Values = { ...(given as Values), seed };
  const keys = OPTION_KEYS.filter(key => values[key] !== undefined);
  const options = withPreset(values);
  try {
    for (const key of keys) acceptOption(key, values[key]!, flagName(key));
    // The folder of the model that it starts from is named when it runs; that there is one is known now.
    checkTogether(from ? { ...options, init: from.id } : options, new Set(keys));
    if (looks.some(({ at }) => at === 'stages') && !keepsStages(options))
      throw new UserError('looks at stages need a checkpoint wherever a stage may end');
  } catch (error) {
    throw error instanceof UserError ? new UserError(`the arm "${arm}": ${error.message}`) : error;
  }
  return {
    kind: 'train',
    id: digest([identity(options), from?.id ?? null]),
    arm,
    seed,
    minutes,
    options,
    flags: keys.flatMap(key => flagWords(key, values[key]!)),
    looks,
    from,
  };
}

/** Whether a checkpoint is written wherever a stage can end. */
function keepsStages({ stageSteps, stageCheckEvery, stageMaxSteps, checkpointEvery }: TrainOptions): boolean {
  const lengths = stageSteps === 'auto' ? [stageCheckEvery, stageMaxSteps] : stageSteps;
  return lengths.every(steps => steps % checkpointEvery === 0);
}

function measuringCell(arm: string, seed: number, minutes: number, work: Measurement): MeasuringCell {
  const { kind, script, flags } = work;
  return { kind, id: digest([script, [...flags], seed]), arm, seed, minutes, script, flags };
}

/** Which say where and how a run computes, or are told by all the others together. */
const ASIDE: ReadonlySet<OptionKey> = new Set(['preset', 'adapter', 'out', 'init', 'resume', 'config']);

/**
 * All options that decide what comes out, in the order of their names. One with a default for all presets is left out
 * where it has that value: an option that is new in the table changes no cell of before.
 */
function identity(options: TrainOptions): Json {
  const counted = OPTION_KEYS.filter(key => {
    const row = OPTIONS[key];
    return !ASIDE.has(key) && (row.perPreset || !same(options[key], row.fallback));
  });
  return counted.sort().map(key => [flagName(key), options[key]]);
}

function same(a: Json, b: Json): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** 48 bits: two of a thousand cells meet once in half a billion such sets. */
function digest(content: Json): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 12);
}

function flagWords(key: OptionKey, value: Json): string[] {
  const flag = `--${flagName(key)}`;
  if (typeof value === 'boolean') return [value ? flag : `--no-${flagName(key)}`];
  if (value === null) throw new UserError(`${flag} cannot be null here: no flag says so, leave it out`);
  return [flag, showOption(key, value)];
}
