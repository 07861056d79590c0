// From metric records to the aligned columns a plot needs: one x axis, one column an arm. Pure data; knows no
// HTML and no plotting library.
import type { HeldOutRecord, MetricRecord, StepRecord, ValidationRecord } from '../metrics.ts';

/** `x` rises; each column of `y` belongs to the arm of the same index, null where that arm has no point. */
export interface Curves {
  readonly id: string;
  readonly title: string;
  readonly scale: 'log' | 'from zero' | 'share';
  readonly x: readonly number[];
  readonly y: readonly (readonly (number | null)[])[];
}

export interface StageMark {
  readonly x: number;
  readonly label: string;
}

export interface ReportCurves {
  readonly arms: readonly string[];
  readonly charts: readonly Curves[];
  readonly stages: readonly StageMark[];
}

type Point = readonly [x: number, y: number];

/** Enough for the widest screen; a run of 100,000 records still makes a small file. */
const MOST_POINTS = 400;

/** All charts of a report, over the number of samples trained on: the same for every arm of a comparison. */
export function reportCurves(records: readonly MetricRecord[]): ReportCurves {
  const arms = [...new Set(records.map(record => record.arm))];
  const steps = (value: (record: StepRecord) => number) =>
    arms.map(arm =>
      thin(
        records
          .filter(isStep)
          .filter(r => r.arm === arm)
          .map(r => [r.samples, value(r)] as const),
      ),
    );
  const validations = arms.map(arm =>
    records
      .filter(isValidation)
      .filter(r => r.arm === arm)
      .map(r => [r.samples, r.accuracy] as const),
  );
  const heldOut = arms.map(arm =>
    records
      .filter(isHeldOut)
      .filter(r => r.arm === arm)
      .map(r => [r.samples, r.loss] as const),
  );
  return {
    arms,
    charts: [
      { id: 'loss', title: 'Loss, nats per token', scale: 'log', ...align(steps(r => r.loss)) },
      records.some(isHeldOut)
        ? { id: 'held-out', title: 'Loss on held-out text', scale: 'log', ...align(heldOut) }
        : { id: 'accuracy', title: 'Exact match on unseen samples', scale: 'share', ...align(validations) },
      {
        id: 'gradient',
        title: 'Gradient norm before clipping',
        scale: 'log',
        ...align(steps(r => r.gradNorm)),
      },
      {
        id: 'speed',
        title: 'Tokens per second',
        scale: 'from zero',
        ...align(steps(r => r.tokensPerSecond)),
      },
    ],
    stages: stageMarks(records),
  };
}

/** Marks of the first arm that passes through several stages. */
function stageMarks(records: readonly MetricRecord[]): StageMark[] {
  const arm = records.find(record => record.stage > 0)?.arm;
  return records
    .filter(record => record.kind === 'stage' && record.arm === arm)
    .map(record => ({ x: record.samples, label: `stage ${record.stage}` }));
}

/** Means of equal runs of points, at most MOST_POINTS of them. Points that are no number are left out. */
export function thin(points: readonly Point[], most = MOST_POINTS): Point[] {
  const finite = points.filter(([, y]) => Number.isFinite(y));
  const run = Math.ceil(finite.length / most);
  const means: Point[] = [];
  for (let start = 0; start < finite.length; start += run) {
    const part = finite.slice(start, start + run);
    const mean = part.reduce((sum, [, y]) => sum + y, 0) / part.length;
    means.push([part[part.length - 1][0], mean]);
  }
  return means;
}

/** Several series on the union of their x values; of two points at one x the later counts. */
export function align(series: readonly (readonly Point[])[]): Pick<Curves, 'x' | 'y'> {
  const maps = series.map(points => new Map(points));
  const x = [...new Set(maps.flatMap(map => [...map.keys()]))].sort((a, b) => a - b);
  return { x, y: maps.map(map => x.map(at => map.get(at) ?? null)) };
}

function isStep(record: MetricRecord): record is StepRecord {
  return record.kind === 'step';
}

function isHeldOut(record: MetricRecord): record is HeldOutRecord {
  return record.kind === 'held-out';
}

function isValidation(record: MetricRecord): record is ValidationRecord {
  return record.kind === 'validation';
}
