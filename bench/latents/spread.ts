// Statistics of repeated measurements, and the straight line through them. Knows numbers only.
import { quantile } from '../measure.ts';

/** Median and quartiles. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), low: quantile(values, 0.25), high: quantile(values, 0.75) };
}

/** y = at0 + slope · x. */
export interface Line {
  readonly at0: number;
  readonly slope: number;
  /** The largest y above the line, as a share of the line there, and the x where it is; 0 where none is above. */
  readonly worst: { readonly x: number; readonly share: number };
}

/** Least squares through at least two points of different x. */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): Line {
  const mean = (pick: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const x0 = mean(([x]) => x);
  const y0 = mean(([, y]) => y);
  const slope = mean(([x, y]) => (x - x0) * (y - y0)) / mean(([x]) => (x - x0) ** 2);
  const at0 = y0 - slope * x0;
  const above = points.map(([x, y]) => ({ x, share: y / (at0 + slope * x) - 1 }));
  const worst = above.reduce((most, point) => (point.share > most.share ? point : most), { x: 0, share: 0 });
  return { at0, slope, worst };
}
