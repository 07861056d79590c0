// The figures that experiments show, as numbers of a record and as text, and what is said of several seeds. Knows
// records; knows no experiment.
import type { Json } from '../../src/json.ts';
import { duration, group, share, significant } from '../../src/train/results.ts';
import type { Arm, Done, Figure, Line, LinePlot } from './experiment.ts';
import type { CellRecord, Trained } from './record.ts';

/** Of the seeds that have it. */
export function valuesOf(figure: Figure, records: readonly CellRecord[]): number[] {
  return records.map(figure.of).filter(value => value !== null);
}

/** "0.992 (0.984–0.998)": mean, least and most; with "2 of 3" where not all have it, and "–" where none has. */
export function summaryOf(figure: Figure, records: readonly CellRecord[]): string {
  const values = valuesOf(figure, records);
  if (values.length === 0) return '–';
  const [mean, low, high] = [meanOf(values), Math.min(...values), Math.max(...values)].map(figure.show);
  const range = low === high ? '' : ` (${low}–${high})`;
  return `${mean}${range}${values.length < records.length ? `, ${values.length} of ${records.length}` : ''}`;
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const ofTraining = (
  name: string,
  of: (training: Trained) => number | null,
  show: Figure['show'],
): Figure => ({
  name,
  of: ({ training }) => (training === null ? null : of(training)),
  show,
});

export const exactMatch = ofTraining('exact match', training => training.exactMatch, share);
export const tokens = ofTraining(
  'tokens a sample',
  training => training.tokensPerSample,
  value => value.toFixed(1),
);
export const samples = ofTraining('samples', training => training.samples, group);
export const parameters = ofTraining('parameters', training => training.parameters, group);
export const lastStage = ofTraining(
  'stage reached',
  training => training.stages.length - 1,
  value => value.toFixed(value % 1 === 0 ? 0 : 1),
);
export const trainTime = ofTraining('training', training => training.trainSeconds, duration);
// In units whose round numbers are round: an axis has its marks there.
export const stepTime = ofTraining(
  'step',
  training => 1000 * training.stepSeconds || null,
  value => `${significant(value, 2)} ms`,
);
export const sampleTime = ofTraining(
  'time a sample',
  training => 1000 * training.secondsPerSample,
  value => `${significant(value, 2)} ms`,
);
export const memory = ofTraining(
  'peak memory',
  training => training.peakBytes / 2 ** 20,
  value => `${significant(value, 3)} MiB`,
);

/** Samples until a validation in the run's last stage was right in such a share: null where none was. */
export function samplesTo(accuracy: number): Figure {
  return ofTraining(
    `samples to ${accuracy}`,
    ({ curve, lastStage: last }) =>
      curve.find(([, stage, reached]) => stage === last && reached >= accuracy)?.[0] ?? null,
    group,
  );
}

/** The best validation in the run's last stage, whatever came after it: null where none was reached. */
export const bestValidation = ofTraining(
  'best validation',
  ({ curve, lastStage: last }) => {
    const reached = curve.filter(([, stage]) => stage === last).map(([, , accuracy]) => accuracy);
    return reached.length > 0 ? Math.max(...reached) : null;
  },
  share,
);

/** Samples at which a stage began. */
export function stageAt(stage: number): Figure {
  return ofTraining(`stage ${stage} at`, ({ stages }) => stages[stage]?.[1] ?? null, group);
}

/** A number in what a bench wrote, by the keys that lead to it. */
export function measured(name: string, keys: readonly (string | number)[], show: Figure['show']): Figure {
  const step = (json: Json | undefined, key: string | number): Json | undefined =>
    (json as Readonly<Record<string | number, Json>> | undefined)?.[key];
  return {
    name,
    of: record => {
      const value = keys.reduce(step, record.measured ?? undefined);
      return typeof value === 'number' ? value : null;
    },
    show,
  };
}

/** Validation accuracy against samples, a fine line a seed, named by its arm. */
export function curves(done: readonly Done[], nameOf: (arm: Arm) => string = arm => arm.name): Line[] {
  return done.flatMap(({ arm, records }) =>
    records.map(
      ({ training }): Line => ({
        name: nameOf(arm),
        points: (training?.curve ?? []).map(([x, , y]) => ({ x, y })),
        fine: true,
      }),
    ),
  );
}

/** All validations of an experiment's runs, a line each. */
export function validations(name: string, nameOf?: (arm: Arm) => string): LinePlot {
  return {
    kind: 'lines',
    name,
    title: 'While training: validation at the stage that each arm is in',
    x: 'samples',
    y: 'exact match',
    top: 1,
    show: value => value.toFixed(1),
    lines: done => curves(done, nameOf),
  };
}

/** The mean of a figure against a factor, a line for each value of another, and the seeds. */
export function against(done: readonly Done[], figure: Figure, x: string, series?: string): Line[] {
  const groups = Map.groupBy(done, ({ arm }) => (series === undefined ? '' : arm.factors[series]!));
  return [...groups].map(
    ([value, members]): Line => ({
      name: series === undefined ? figure.name : `${series} ${value}`,
      points: members.flatMap(({ arm, records }) => {
        const seeds = valuesOf(figure, records);
        return seeds.length > 0 ? [{ x: arm.factors[x]!, y: meanOf(seeds), seeds }] : [];
      }),
    }),
  );
}
