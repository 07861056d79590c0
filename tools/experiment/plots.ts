// The two plots: bars of arms, and lines over an axis. Knows figures and SVG; knows no experiment by name.
import type { BarPlot, Done, LinePlot, Plot, Point } from './experiment.ts';
import { summaryOf, valuesOf } from './figures.ts';
import { bar, dot, path, rule, SERIES, sheet, TEXT, text, ticks, WIDTH, widthOf } from './svg.ts';

const EDGE = 16;
const TITLE = 40;

/** The SVG of a plot; undefined where no cell has what it shows. */
export function plotOf(plot: Plot, done: readonly Done[]): string | undefined {
  return plot.kind === 'bars' ? bars(plot, done) : lines(plot, done);
}

const ROW = 26;
const THICK = 14;
const MARK = 80;

function bars({ title, figure, arms = () => true }: BarPlot, done: readonly Done[]): string | undefined {
  const rows = done
    .filter(({ arm, records }) => arms(arm) && records.length > 0)
    .map(({ arm, records }) => ({
      arm,
      values: valuesOf(figure, records),
      summary: summaryOf(figure, records),
    }));
  const all = rows.flatMap(({ values }) => values);
  if (all.length === 0) return undefined;
  const left = EDGE + 8 + Math.max(...rows.map(({ arm }) => widthOf(arm.name)));
  const right = WIDTH - EDGE - Math.max(...rows.map(({ summary }) => widthOf(summary)));
  // Long names leave little room.
  const marks = ticks(0, Math.max(...all), Math.min(5, Math.floor((right - left) / MARK)));
  const x = (value: number): number => left + ((right - 20 - left) * value) / (marks.at(-1)! || 1);
  const foot = TITLE + ROW * rows.length + 4;
  const parts = [text(EDGE, 24, title, 'start', 'title')];
  for (const mark of marks)
    parts.push(rule(x(mark), TITLE, x(mark), foot), text(x(mark), foot + 16, figure.show(mark), 'middle'));
  for (const [i, { arm, values, summary }] of rows.entries()) {
    const middle = TITLE + ROW * (i + 0.5) + 2;
    const baseline = middle + TEXT / 3;
    parts.push(
      text(left - 8, baseline, arm.name, 'end', 'name'),
      text(WIDTH - EDGE, baseline, summary, 'end'),
    );
    if (values.length === 0) continue;
    const mean = values.reduce((a, b) => a + b) / values.length;
    parts.push(bar(left, middle - THICK / 2, x(mean) - left, THICK, 0));
    for (const value of values) parts.push(dot(x(value), middle, 3, 'seed l0'));
  }
  return sheet(foot + 28, title, parts);
}

const HEIGHT = 260;
const LEGEND = 20;
const ASIDE = 7;

function lines(plot: LinePlot, done: readonly Done[]): string | undefined {
  const drawn = plot.lines(done).filter(({ points }) => points.length > 0);
  const points = drawn.flatMap(line => line.points);
  if (points.length === 0) return undefined;
  const names = [...new Set(drawn.map(({ name }) => name))];
  const legend = legendOf(names);
  const top = TITLE + legend.height + 8;
  const foot = top + HEIGHT;
  const ys = points.flatMap(({ y, seeds = [] }) => [y, ...seeds]);
  const marks = ticks(Math.min(0, ...ys), Math.max(plot.top ?? 0, ...ys));
  const labels = marks.map(plot.show);
  const left = EDGE + 8 + Math.max(...labels.map(label => widthOf(label)));
  const [low, high] = [marks[0]!, marks.at(-1)!];
  const y = (value: number): number => foot - (HEIGHT * (value - low)) / (high - low || 1);
  const across = acrossOf(points, left, WIDTH - EDGE - 20);
  const parts = [text(EDGE, 24, plot.title, 'start', 'title'), ...legend.parts];
  for (const [i, mark] of marks.entries())
    parts.push(
      rule(left, y(mark), WIDTH - EDGE, y(mark)),
      text(left - 8, y(mark) + TEXT / 3, labels[i]!, 'end'),
    );
  for (const { label, at } of across.marks) parts.push(text(at, foot + 18, label, 'middle'));
  parts.push(text(left, top - 8, plot.y), text(WIDTH - EDGE, foot + 36, plot.x, 'end'));
  for (const { name, points: along, fine, dashed } of drawn) {
    const series = names.indexOf(name) % SERIES;
    // Side by side, where lines have dots that would hide one another.
    const aside = along.some(({ seeds }) => seeds)
      ? ASIDE * (names.indexOf(name) - (names.length - 1) / 2)
      : 0;
    const places = along.map(point => [across.at(point.x) + aside, y(point.y)] as const);
    for (const [i, { seeds = [] }] of along.entries())
      for (const seed of seeds) parts.push(dot(places[i]![0], y(seed), 2.5, `seed l${series}`));
    const style = `l${series}${fine ? ' fine' : ''}${dashed ? ' dashed' : ''}`;
    if (places.length > 1) parts.push(path(places, style));
    if (!fine && !dashed) for (const [px, py] of places) parts.push(dot(px, py, 3.5, `f${series}`));
  }
  return sheet(foot + 48, plot.title, parts);
}

/** Names with their colours, in as many rows as they need. */
function legendOf(names: readonly string[]): { parts: string[]; height: number } {
  if (names.length < 2) return { parts: [], height: 12 };
  const parts: string[] = [];
  let x = EDGE;
  let y = TITLE + 12;
  for (const [i, name] of names.entries()) {
    const width = 18 + widthOf(name) + 16;
    if (x > EDGE && x + width > WIDTH - EDGE) {
      x = EDGE;
      y += LEGEND;
    }
    parts.push(bar(x, y - 9, 12, 10, i % SERIES), text(x + 18, y, name, 'start', 'name'));
    x += width;
  }
  return { parts, height: y - TITLE + 28 };
}

interface Across {
  at(x: Point['x']): number;
  readonly marks: readonly { readonly label: string; readonly at: number }[];
}

/** Numbers lie where they belong; once there is a word among them (a window "full"), all stand side by side. */
function acrossOf(points: readonly Point[], left: number, right: number): Across {
  const all = [...new Set(points.map(({ x }) => x))];
  const numbers = all.filter(x => typeof x === 'number').sort((a, b) => a - b);
  if (numbers.length < all.length) {
    const places = [...numbers, ...all.filter(x => typeof x === 'string')];
    const step = (right - left) / places.length;
    const at = (x: Point['x']): number => left + step * (places.indexOf(x) + 0.5);
    return { at, marks: places.map(x => ({ label: String(x), at: at(x) })) };
  }
  const [least, most] = [Math.min(0, numbers[0]!), numbers.at(-1)!];
  // A few values are their own marks: 1, 2, 3 thoughts rather than 0.5, 1, 1.5.
  const few = numbers.length <= 8 && numbers.every(x => Number.isInteger(x) && x < 1000);
  const marks = few ? numbers : ticks(least, most, 6).filter(mark => mark <= most);
  const first = few ? numbers[0]! : least;
  const room = few ? 20 : 0;
  const at = (x: Point['x']): number =>
    left + room + ((right - left - room) * ((x as number) - first)) / (most - first || 1);
  return { at, marks: marks.map(x => ({ label: grouped(x), at: at(x) })) };
}

function grouped(value: number): string {
  return Number.isInteger(value) ? String(value).replace(/\B(?=(\d{3})+$)/g, ',') : String(value);
}
