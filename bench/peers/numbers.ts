// Arithmetic on measurements. Knows numbers.

/** Value at `share` of the way through the sorted numbers, between two of them where it falls there. */
function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('no values');
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - low);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The 75th less the 25th percentile. */
export function spread(values: readonly number[]): number {
  return quantile(values, 0.75) - quantile(values, 0.25);
}

/** Of positive numbers. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0 || values.some(value => !(value > 0)))
    throw new Error(`no geometric mean of [${values}]`);
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
