// The tuner: for the classes of matrix products that were asked for, measures which variant is fastest on this device,
// the dearest classes first, within a budget. Knows classes and what is gained by a choice; how a class is measured is
// in trial.ts, who wins in race.ts.
import type { Asked } from '../../gpu/choices.ts';
import { GpuError } from '../../gpu/errors.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import type { ProductShape } from '../product.ts';
import { COMPILED_AGAIN, type Contestant, Races, type Times } from './race.ts';
import { flopsOf, ProductTrial } from './trial.ts';

export interface TuneOptions {
  /** Milliseconds for everything, compiling included; what they don't reach keeps its default. */
  readonly budgetMs: number;
  /** A choice must win back what compiling it takes in so many steps; a class's uses are those of one step. */
  readonly steps: number;
  /** The share of the default's time by which another variant must be faster. */
  readonly margin: number;
  readonly rounds: number;
  /** Ends the tuning early where it turns true. */
  readonly stopping?: () => boolean;
}

export interface TuneReport {
  /** Classes that were open before. */
  readonly open: number;
  /** Those of them that have a choice now, be it the default. */
  readonly settled: number;
  readonly changes: readonly Change[];
  /** Variants that failed a check. */
  readonly failed: readonly string[];
  readonly ms: number;
}

/** A class whose choice is not its default. */
export interface Change {
  readonly shapeClass: string;
  readonly from: string;
  readonly to: string;
  /** Milliseconds less a step. */
  readonly savedMs: number;
}

/** A class that was measured: milliseconds a call of the shape that was asked for. */
export interface Raced {
  readonly asked: Pick<Asked, 'op' | 'shapeClass' | 'uses'>;
  /** The default first. */
  readonly contestants: readonly Contestant[];
  readonly times: Times;
}

/** What a better variant may save of a class's time, at a guess; it decides only what is tried. */
const HOPE = 0.25;

/**
 * Chooses a variant for each open class of `gpu.choices`, as far as the budget reaches. Throws GpuError where no
 * variant gives the right product, and for every fault of the device.
 */
export async function tune(gpu: Gpu, options: TuneOptions): Promise<TuneReport> {
  const begun = performance.now();
  const elapsed = (): number => performance.now() - begun;
  const left = (): number => (options.stopping?.() ? 0 : options.budgetMs - elapsed());
  const open = gpu.choices.open.filter(({ op }) => op === 'matmul').sort((a, b) => costOf(b) - costOf(a));
  const races = new Races(options.rounds, left);
  const raced: Raced[] = [];
  for (const asked of open) {
    const shape = asked.shape as ProductShape;
    if (left() <= 0) break;
    const trial = new ProductTrial(gpu, shape);
    const alike = open
      .filter(other => formOf(other) === formOf(asked))
      .reduce((sum, one) => sum + costOf(one), 0);
    const own = HOPE * trial.scale * asked.uses * options.steps;
    const times = await races.run(trial, { own, shared: (own * alike) / costOf(asked) });
    trial.free();
    if (!times) break;
    if (times.size === 0)
      throw new GpuError(`no variant of it computes ${asked.shapeClass} right on this device`, asked.op);
    const whole = new Map([...times].map(([name, ms]) => [name, ms * trial.scale]));
    raced.push({ asked, contestants: trial.contestants, times: whole });
  }
  const compileMs = (one: Contestant): number => races.compileTimes.likely(one);
  const chosen = settle(raced, compileMs, options);
  for (const [i, { asked }] of raced.entries())
    gpu.choices.choose(asked.op, asked.shapeClass, chosen[i]!.name);
  return {
    open: open.length,
    settled: raced.length,
    changes: raced.flatMap((one, i) => changeOf(one, chosen[i]!)),
    failed: [...races.failed],
    ms: elapsed(),
  };
}

/**
 * The choice of each class: the fastest, where it beats the default by the margin and the choices that share its text
 * win back together, within the steps, what compiling it takes; else the default.
 */
export function settle(
  raced: readonly Raced[],
  compileMs: (one: Contestant) => number,
  { steps, margin }: Pick<TuneOptions, 'steps' | 'margin'>,
): Contestant[] {
  const fastest = raced.map(({ contestants, times }) => {
    const [best] = [...times].reduce((a, b) => (b[1] < a[1] ? b : a));
    const first = contestants[0]!;
    const enough = times.get(best)! <= (1 - margin) * (times.get(first.name) ?? Number.POSITIVE_INFINITY);
    return enough ? contestants.find(({ name }) => name === best)! : first;
  });
  const saved = new Map<string, number>();
  for (const [i, one] of raced.entries()) {
    const { text } = fastest[i]!;
    saved.set(text, (saved.get(text) ?? 0) + savedMs(one, fastest[i]!));
  }
  return raced.map(({ contestants }, i) => {
    const best = fastest[i]!;
    return saved.get(best.text)! * steps >= COMPILED_AGAIN * compileMs(best) ? best : contestants[0]!;
  });
}

/** A default that failed its check loses to whatever passed. */
function savedMs({ asked, contestants, times }: Raced, { name }: Contestant): number {
  const before = times.get(contestants[0]!.name) ?? Number.POSITIVE_INFINITY;
  return asked.uses * (before - times.get(name)!);
}

function changeOf(one: Raced, { name }: Contestant): Change[] {
  const from = one.contestants[0]!.name;
  if (name === from) return [];
  const { shapeClass } = one.asked;
  return [{ shapeClass, from, to: name, savedMs: savedMs(one, one.contestants.find(c => c.name === name)!) }];
}

/** Operations of a class a step. */
function costOf({ shape, uses }: Asked): number {
  return flopsOf(shape as ProductShape) * uses;
}

/** Classes of one form run kernels of the same texts. */
function formOf({ shape }: Asked): string {
  const { transposeA, transposeB } = shape as ProductShape;
  return `${transposeA} ${transposeB}`;
}
