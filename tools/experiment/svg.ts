// Static SVG: a sheet with its colours for light and dark, marks and text on it, and the ticks of an axis. Knows
// shapes; knows no experiment.

/** A plot's width, and the size of its text, in user units: pixels where nothing scales it. */
export const WIDTH = 720;
export const TEXT = 12;

/** Series in their order: told apart in both schemes, and by most who see few colours by lightness too. */
const LIGHT = ['#2563c9', '#c2621b', '#7b6ca8', '#1f7a4d', '#b3382c', '#0e7f92', '#8a6d00', '#b0457f'];
const DARK = ['#6ea4f7', '#e79a5c', '#b3a4e0', '#62c493', '#ef8074', '#4fc0d2', '#d3b443', '#e58bbd'];
export const SERIES = LIGHT.length;

const variables = (colours: readonly string[]): string => colours.map((c, i) => `--s${i}:${c}`).join(';');

const STYLE = `
:root{color-scheme:light dark;--page:#fff;--text:#1c1d1f;--quiet:#5f6268;--grid:#e4e4e1;${variables(LIGHT)}}
@media(prefers-color-scheme:dark){:root{--page:#141517;--text:#e6e6e3;--quiet:#a3a6ad;--grid:#2d3035;${variables(DARK)}}}
text{font:${TEXT}px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:var(--quiet)}
.title{font-size:14px;font-weight:600;fill:var(--text)}.name{fill:var(--text)}
.page{fill:var(--page)}.grid{stroke:var(--grid)}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.fine{stroke-width:1.25;opacity:.75}.dashed{stroke-width:1.25;stroke-dasharray:4 4}.seed{fill:var(--page);stroke-width:1.5}
${LIGHT.map((_, i) => `.f${i}{fill:var(--s${i})}.l${i}{stroke:var(--s${i})}`).join('\n')}
`.trim();

/** The file's text. `parts` are elements; the title is said to those who do not see it too. */
export function sheet(height: number, title: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${escaped(title)}</title>
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${height}"/>
${parts.join('\n')}
</svg>
`;
}

export type Anchor = 'start' | 'middle' | 'end';

/** `y` is the baseline. */
export function text(x: number, y: number, content: string, anchor: Anchor = 'start', style = ''): string {
  const at = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${short(x)}" y="${short(y)}"${at}${style && ` class="${style}"`}>${escaped(content)}</text>`;
}

export function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="grid" x1="${short(x1)}" y1="${short(y1)}" x2="${short(x2)}" y2="${short(y2)}"/>`;
}

export function bar(x: number, y: number, width: number, height: number, series: number): string {
  return `<rect class="f${series}" x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}"/>`;
}

export function dot(x: number, y: number, radius: number, style: string): string {
  return `<circle class="${style}" cx="${short(x)}" cy="${short(y)}" r="${radius}"/>`;
}

export function path(points: readonly (readonly [x: number, y: number])[], style: string): string {
  return `<path class="line ${style}" d="M${points.map(([x, y]) => `${short(x)} ${short(y)}`).join('L')}"/>`;
}

/** About as wide as a text is drawn, in any usual font rather wider. */
export function widthOf(content: string, size = TEXT): number {
  return 0.58 * size * content.length;
}

/** Round numbers from 0, or from below it, to at least `most`: about `count` of them. */
export function ticks(least: number, most: number, count = 5): number[] {
  const span = most - least || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough * 0.999)!;
  const first = Math.floor(least / step + 1e-9);
  const last = Math.ceil(most / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Two decimals: a pixel's hundredth, and the same text from the same number. */
function short(value: number): string {
  return String(Number(value.toFixed(2)));
}

function escaped(content: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return content.replace(/[&<>"]/g, letter => names[letter]!);
}
