// The bench's rows: what one holds, how it is computed from a timing, and how it is shown on a terminal and kept in
// Markdown. Knows numbers and their units; knows no device.
import type { Ceilings } from '../src/train/ceiling.ts';
import { type Bound, floorOf } from './floors.ts';
import type { Timing } from './measure.ts';
import type { Pass, Subject } from './subject.ts';

export interface BenchRow extends Timing {
  readonly op: string;
  readonly pass: Pass;
  /** MxNxK for products, else the dimensions by name. */
  readonly shape: string;
  /** What else tells rows apart: which operands are transposed (nn, nt, tn), other options. */
  readonly form: string;
  /** The form of the kernels, or the kernels where the op has only one. */
  readonly variant: string;
  readonly dispatches: number;
  /** 10⁹ operations and bytes a second, of the work that any kernel must do. */
  readonly gflops: number;
  readonly gbs: number;
  /** The floor that `bound` sets, over the measured time. */
  readonly ceilingShare: number;
  /** The ceiling that sets the longest floor. */
  readonly bound: Bound;
}

export function rowOf(
  op: string,
  { shape, form }: { readonly shape: string; readonly form: string },
  { pass, work, launches, variant }: Subject,
  timing: Timing,
  ceilings: Ceilings,
): BenchRow {
  const floor = floorOf(work, launches.length, ceilings);
  return {
    op,
    pass,
    shape,
    form,
    variant,
    ...timing,
    dispatches: launches.length,
    gflops: work.flops / timing.ms / 1e6,
    gbs: work.bytes / timing.ms / 1e6,
    ceilingShare: floor.ms / timing.ms,
    bound: floor.bound,
  };
}

/** Columns of a row: heading, text, and the width and side on a terminal (negative: to the right). */
const COLUMNS: readonly (readonly [head: string, text: (row: BenchRow) => string, width: number])[] = [
  ['op', row => row.op, 14],
  ['pass', row => row.pass, 9],
  ['shape', row => [row.shape, row.form].filter(Boolean).join(' '), 32],
  ['variant', row => row.variant, 24],
  ['ms', row => row.ms.toPrecision(3), -9],
  ['±', row => row.spread.toPrecision(2), -9],
  ['wall ms', row => row.wallMs.toPrecision(3), -9],
  ['GFLOP/s', row => row.gflops.toFixed(2), -9],
  ['GB/s', row => row.gbs.toFixed(2), -7],
  ['share', row => `${(100 * row.ceilingShare).toFixed(1)}%`, -8],
  ['bound', row => ` ${row.bound}`, 9],
];

const pad = (text: string, width: number): string =>
  width < 0 ? text.padStart(-width) : `${text.padEnd(width - 1)} `;

export function tableHead(): string {
  return COLUMNS.map(([head, , width]) => pad(head === 'bound' ? ' bound' : head, width))
    .join('')
    .trimEnd();
}

export function tableRow(row: BenchRow): string {
  return COLUMNS.map(([, text, width]) => pad(text(row), width))
    .join('')
    .trimEnd();
}

/** The change of a row's time against an earlier one's: "-12.3%" is faster. */
export function change(row: BenchRow, before: BenchRow): string {
  const percent = 100 * (row.ms / before.ms - 1);
  return `${percent < 0 ? '' : '+'}${percent.toFixed(1)}%`;
}

/** Tells rows of two runs to be of the same work. */
export function rowKey({ op, pass, shape, form }: BenchRow): string {
  return [op, pass, shape, form].join('|');
}

export function markdownTable(rows: readonly BenchRow[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(COLUMNS.map(([head]) => head)),
    line(COLUMNS.map(([, , width]) => (width < 0 ? '---:' : '---'))),
    ...rows.map(row => line(COLUMNS.map(([, text]) => text(row).trim()))),
  ].join('\n');
}

/** Ceilings in the units of the rows. */
export function ceilingUnits({ fma, stream, cached, dispatch }: Ceilings): Readonly<Record<string, number>> {
  return { gflops: fma / 1e9, streamGbs: stream / 1e9, cachedGbs: cached / 1e9, dispatchMs: 1e3 * dispatch };
}

export function ceilingsLine({ fma, stream, cached, dispatch }: Ceilings): string {
  const giga = (value: number): string => (value / 1e9).toPrecision(3);
  return (
    `multiply-adds ${giga(fma)} GFLOP/s, stream copy ${giga(stream)} GB/s, cached loads ${giga(cached)} GB/s, ` +
    `dispatch ${(1e6 * dispatch).toPrecision(3)} µs`
  );
}
