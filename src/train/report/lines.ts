// A small chart of a few points, as SVG that needs no script. Knows SVG; its colours are style.ts's.
import { escapeHtml } from './html.ts';

export interface Series {
  readonly name: string;
  /** As many as there are labels; null where there is no point. */
  readonly values: readonly (number | null)[];
  /** Drawn dashed, without points: something to compare with. */
  readonly reference?: boolean;
}

export interface LineChart {
  readonly title: string;
  /** Under the title. */
  readonly note?: string;
  /** What the points stand at, from left to right. */
  readonly labels: readonly string[];
  readonly series: readonly Series[];
  /** The top of the axis; above all values where it is not given. */
  readonly top?: number;
}

const SIZE = { width: 320, height: 170 };
const EDGE = { left: 34, right: 12, top: 8, bottom: 22 };

/** The axis begins at 0, or below where values do. */
export function lineChart({ title, note, labels, series, top }: LineChart): string {
  const values = series.flatMap(one => one.values).filter(value => value !== null);
  const ticks = ticksFor(Math.min(0, ...values), top ?? Math.max(0, ...values));
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  const x = (i: number): number =>
    EDGE.left + ((i + 0.5) / labels.length) * (SIZE.width - EDGE.left - EDGE.right);
  const y = (value: number): number =>
    SIZE.height - EDGE.bottom - ((value - low) / (high - low)) * (SIZE.height - EDGE.top - EDGE.bottom);
  const grid = ticks.map(
    tick =>
      `<line class="grid" x1="${EDGE.left}" x2="${SIZE.width - EDGE.right}" y1="${round(y(tick))}" y2="${round(y(tick))}"/>` +
      `<text class="tick" x="${EDGE.left - 6}" y="${round(y(tick) + 3.5)}">${short(tick)}</text>`,
  );
  const under = labels.map(
    (label, i) => `<text class="label" x="${round(x(i))}" y="${SIZE.height - 6}">${escapeHtml(label)}</text>`,
  );
  const draw = (one: Series, index: number): string => {
    const points = one.values.flatMap((value, i) =>
      value === null ? [] : [{ value, x: x(i), y: y(value) }],
    );
    const path = points
      .map((point, i) => `${i === 0 ? 'M' : 'L'}${round(point.x)} ${round(point.y)}`)
      .join('');
    const dots = points.map(
      (point, i) =>
        `<circle cx="${round(point.x)}" cy="${round(point.y)}" r="3.5"><title>${escapeHtml(one.name)}, ${escapeHtml(labels[i] ?? '')}: ${+point.value.toPrecision(3)}</title></circle>`,
    );
    return `<g class="series s${index}${one.reference ? ' reference' : ''}"><path d="${path}"/>${one.reference ? '' : dots.join('')}</g>`;
  };
  const legend = series.map(
    (one, i) => `<li class="s${i}${one.reference ? ' reference' : ''}">${escapeHtml(one.name)}</li>`,
  );
  return (
    `<figure class="small"><figcaption>${escapeHtml(title)}</figcaption>` +
    `<p class="note">${escapeHtml(note ?? '')}</p>` +
    `<svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${escapeHtml(`${title}: ${series.map(one => `${one.name} ${one.values.map(value => (value === null ? '–' : +value.toPrecision(3))).join(', ')}`).join('; ')}`)}">` +
    `${grid.join('')}${under.join('')}${series.map(draw).reverse().join('')}</svg>` +
    `${series.length > 1 ? `<ul class="legend">${legend.join('')}</ul>` : ''}</figure>`
  );
}

/** Four or so round numbers from at most `low` to at least `high`. */
function ticksFor(low: number, high: number): number[] {
  const span = high - low || 1;
  const power = 10 ** Math.floor(Math.log10(span / 3));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(size => span / size <= 4.001)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function short(value: number): string {
  return String(+value.toPrecision(3));
}

function round(value: number): string {
  return String(+value.toFixed(1));
}
