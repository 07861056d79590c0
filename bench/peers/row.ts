// A line of the results, in text and in Markdown. Knows names and numbers; knows no engine.
import { ENGINES, type EngineName, PEERS } from './names.ts';

/** One engine at one piece of work. Where it could not do it, the numbers are null and the note says why. */
export interface Row {
  readonly op: string;
  readonly shape: string;
  readonly engine: EngineName;
  /** Median milliseconds, and the 75th less the 25th percentile. */
  readonly ms: number | null;
  readonly spread: number | null;
  /** 10⁹ operations a second, by the work's definition; null where those are not counted. */
  readonly gflops: number | null;
  /** Its time over ours. */
  readonly ratio: number | null;
  /** Of generation; null elsewhere. */
  readonly tokensPerSecond: number | null;
  readonly note: string;
}

const WIDTHS = [29, 22, 8, 11, 9, 9, 8] as const;

export const HEADER = cells(['op', 'shape', 'engine', 'ms', '±ms', 'GFLOP/s', '/ ours']);

export function formatRow(row: Row): string {
  const { op, shape, engine, ms, spread, gflops, ratio } = row;
  const note = [rateOf(row), row.note].filter(Boolean).join('; ');
  const numbers = [show(ms), show(spread), show(gflops), ratio === null ? '' : `${show(ratio)}×`];
  return `${cells([op, shape, engine, ...numbers])}  ${note}`.trimEnd();
}

function rateOf({ tokensPerSecond }: Row): string {
  return tokensPerSecond === null ? '' : `${Math.round(tokensPerSecond)} tokens/s`;
}

/** Three or more significant digits, none that nobody reads. */
export function show(value: number | null): string {
  if (value === null) return '';
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3);
}

function cells(texts: readonly string[]): string {
  return texts
    .map((text, i) => (i < 3 ? text.padEnd(WIDTHS[i]!) : text.padStart(WIDTHS[i]!)))
    .join('')
    .trimEnd();
}

/** A table of one line a piece of work, with the engines side by side, and the notes below it. */
export function markdownTable(rows: readonly Row[]): string {
  const byWork = Map.groupBy(rows, ({ op, shape }) => `${op} | ${shape}`);
  const notes: string[] = [];
  const cell = (row: Row | undefined): string => {
    if (!row) return '';
    const mark = row.note === '' ? '' : `<sup>${number(notes, row.note)}</sup>`;
    if (row.ms === null) return `–${mark}`;
    const rate = rateOf(row);
    return `${show(row.ms)} ± ${show(row.spread)}${rate && ` (${rate})`}${mark}`;
  };
  const lines = [...byWork].map(([work, engines]) => {
    const of = (name: EngineName): Row | undefined => engines.find(({ engine }) => engine === name);
    const best = fastest(engines, PEERS);
    const ratio = best && `${show(best.ratio)} (${best.engine})`;
    return `| ${work} | ${[...ENGINES.map(name => cell(of(name))), ratio ?? ''].join(' | ')} |`;
  });
  return [
    `| op | shape | ${ENGINES.map(name => `${name}, ms`).join(' | ')} | fastest peer / ours |`,
    `| --- | --- |${' ---: |'.repeat(ENGINES.length + 1)}`,
    ...lines,
    '',
    ...notes.map((note, i) => `${i + 1}. ${note}`),
  ].join('\n');
}

/** The row of the fastest of `engines` at a piece of work, compared with ours; undefined where none can be. */
export function fastest(rows: readonly Row[], engines: readonly EngineName[]): Row | undefined {
  return rows
    .filter(({ engine, ratio }) => engines.includes(engine) && ratio !== null)
    .reduce<Row | undefined>((best, row) => (best && best.ratio! <= row.ratio! ? best : row), undefined);
}

/** Number, from 1, of a note in the list, to which it is added if it is new. */
function number(notes: string[], note: string): number {
  if (!notes.includes(note)) notes.push(note);
  return notes.indexOf(note) + 1;
}
