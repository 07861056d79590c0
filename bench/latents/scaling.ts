// Step time and memory against the number of thoughts, with full backpropagation and with a window. Knows learners and
// rows; knows no files and no terminal.
import type { Gpu } from '../../src/gpu/gpu.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import type { Window } from '../../src/model/latent.ts';
import { modelFor } from './model.ts';
import { rowsWith, type Size, tokenizerFor } from './rows.ts';
import { fitLine, type Line, type Spread, spreadOf } from './spread.ts';
import { type Rounds, takeTurns } from './steady.ts';
import { learnerFor, takeStep } from './tax.ts';

export interface ScalingPoint {
  readonly n: number;
  /** Milliseconds a step. */
  readonly ms: Spread;
  /** The most bytes alive in a step beyond parameters, gradients and moments. */
  readonly bytes: number;
}

export interface Curve {
  readonly window: Window;
  readonly points: readonly ScalingPoint[];
  /** Of `ms` over n. */
  readonly time: Line;
  /** Bytes over n, of the points whose latents exceed the window, or all where it is full. */
  readonly memory: Line;
}

export interface Scaling {
  readonly size: string;
  readonly B: number;
  /** Columns beside the latents: question and text. */
  readonly columns: number;
  /** Bytes of parameters, gradients and both moments. */
  readonly modelBytes: number;
  /** Bytes that a column adds whatever is recorded: queries, keys and values, and the records of queries. */
  readonly columnBytes: number;
  readonly curves: readonly Curve[];
}

export const LATENTS = [1, 2, 3, 4, 6, 8, 12, 16] as const;
export const WINDOWS: readonly Window[] = ['full', 2];
/** Steps of each number of latents that are timed in a round. */
const STEPS = 2;

export async function measureScaling(
  gpu: Gpu,
  size: Size,
  batch: number,
  rounds: Rounds,
  counts: readonly number[] = LATENTS,
): Promise<Scaling> {
  const rows = counts.map(n => rowsWith(size, n, batch));
  const longest = Math.max(...rows.map(of => of[0]!.tokens.length));
  const model = modelFor(gpu, size, longest);
  const { pad } = tokenizerFor(size);
  const learners = WINDOWS.map(window => learnerFor(model, window, pad));
  const arms = learners.flatMap(learner => rows.map(of => ({ step: () => takeStep(learner, of) })));
  const bytes = arms.map(({ step }) => stepBytes(gpu, step));
  const times = await takeTurns(gpu, arms, STEPS, rounds);
  const curves = WINDOWS.map((window, w): Curve => {
    const points = counts.map((n, i): ScalingPoint => {
      const at = w * counts.length + i;
      return { n, ms: spreadOf(times[at]!.ms), bytes: bytes[at]! };
    });
    const beyond = points.filter(({ n }) => window === 'full' || n >= window);
    return {
      window,
      points,
      time: fitLine(points.map(({ n, ms }) => [n, ms.median])),
      memory: fitLine(beyond.map(point => [point.n, point.bytes])),
    };
  });
  const modelBytes = 4 * model.parameters.arenas.reduce((sum, { flat }) => sum + flat.bytes, 0);
  for (const learner of learners) learner.free();
  model.parameters.free();
  return {
    size: size.name,
    B: batch,
    columns: rows[0]![0]!.tokens.length - counts[0]!,
    modelBytes,
    columnBytes: columnBytes(model.config, batch),
    curves,
  };
}

/** The most that is alive while a step is recorded, above what was alive before. */
export function stepBytes(gpu: Gpu, step: () => void): number {
  step(); // The first may leave something that is kept.
  const { memory } = gpu.pool;
  gpu.pool.resetPeak();
  const before = memory.live;
  step();
  return memory.peak - before;
}

/** Bytes of a column in what spans all columns: a layer's store and its records. */
export function columnBytes({ layers, width, heads }: ModelConfig, B: number): number {
  const stored = 3 * width;
  const record = 2 * width + 4 * heads; // As `record` of src/ops/attention.ts lays it out.
  return 4 * B * layers * (stored + record);
}
