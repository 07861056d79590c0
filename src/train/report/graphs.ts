// A search as a drawing: its graph once for each number of thoughts, the nodes coloured by the value that the model gives
// them. Knows SVG; its colours are style.ts's.
import { type Search, searchOf } from '../../eval/search.ts';
import type { SearchValues } from '../results.ts';
import { escapeHtml } from './html.ts';
import { type Layout, layoutOf, type Point } from './layout.ts';

/** Values below this are coloured, but not written out. */
const LEAST_SHOWN = 0.05;
/** Names of so many characters stand in their nodes, longer ones below. */
const SHORT = 2;

export function searchGraphs({ sample, after }: SearchValues): string {
  const search = searchOf(sample);
  if (!search) return '';
  const layout = layoutOf(search, isShort(search) ? { width: 34, height: 46 } : { width: 56, height: 54 });
  const figures = after.map(
    ({ thoughts, asks, values }) =>
      `<li><h3>${label(thoughts, asks)}</h3>${drawing(search, layout, values)}</li>`,
  );
  // A column fits the graph, but is no narrower than a thought's.
  const column = Math.min(360, Math.max(150, Math.round(layout.width)));
  return `<ul class="graphs" style="--column:${column}px">${figures.join('')}</ul>`;
}

function label(thoughts: number, asks: 'step' | 'answer'): string {
  return `${thoughts} thought${thoughts === 1 ? '' : 's'}${asks === 'step' ? '' : ', answer'}`;
}

function drawing(search: Search, layout: Layout, values: readonly number[]): string {
  const { names } = search;
  const said = names
    .map((name, node) => ({ name, value: values[node]! }))
    .filter(({ value }) => value >= LEAST_SHOWN)
    .sort((a, b) => b.value - a.value)
    .map(({ name, value }) => `${name} ${hundredths(value)}`);
  const label = said.length > 0 ? `most valued: ${said.join(', ')}` : 'no node is worth anything';
  const short = isShort(search);
  const radius = short ? 11 : 8;
  const nodes = names.map((name, node) => {
    const role = roleOf(search, node);
    const value = values[node]!;
    const shown = value >= LEAST_SHOWN ? hundredths(value) : '';
    const { x, y } = layout.points[node]!;
    return (
      `<circle class="node ${role}" cx="${round(x)}" cy="${round(y)}" r="${radius}" style="--v:${round(100 * value)}%">` +
      `<title>${escapeHtml(name)}: ${value.toFixed(3)}</title></circle>` +
      (short
        ? text(x, y + 4, name, value > 0.5 ? 'full' : 'name')
        : text(x, y + radius + 10, role || shown ? name : '', 'below')) +
      text(x, y + radius + (short ? 10 : 20), shown, 'value')
    );
  });
  const { width, height } = layout;
  return (
    `<svg viewBox="0 0 ${round(width)} ${round(height)}" style="max-width:${round(1.15 * width)}px" role="img" ` +
    `aria-label="${escapeHtml(label)}">${edges(search, layout, radius)}${nodes.join('')}</svg>`
  );
}

function isShort({ names }: Search): boolean {
  return names.every(name => name.length <= SHORT);
}

function roleOf({ root, target, distractor }: Search, node: number): string {
  if (node === root) return 'root';
  if (node === target) return 'target';
  return node === distractor ? 'distractor' : '';
}

/** Two paths: the edges that lie on no shortest way to the target, and above them those that do. */
function edges(search: Search, { points, form }: Layout, radius: number): string {
  const { fromRoot, toTarget, target } = search;
  const isWay = ([parent, child]: readonly [number, number]): boolean =>
    fromRoot[parent]! + 1 + toTarget[child]! === fromRoot[target];
  const draw = (chosen: boolean): string =>
    search.edges
      .filter(edge => isWay(edge) === chosen)
      .map(([parent, child]) => arrow(points[parent]!, points[child]!, radius, form === 'rows'))
      .join('');
  return `<path class="edge" d="${draw(false)}"/><path class="edge way" d="${draw(true)}"/>`;
}

/** From rim to rim with a head; in rows one that does not lead downwards is bent, around nodes of the same row. */
function arrow(from: Point, to: Point, radius: number, inRows: boolean): string {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const bend = inRows && dy <= 0 && Math.abs(dx) >= 1 ? 22 : 0;
  const middle = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 + bend };
  const start = towards(from, middle, radius);
  const end = towards(to, middle, radius + 1);
  const angle = Math.atan2(to.y - middle.y, to.x - middle.x);
  const wing = (side: number): string =>
    `${round(end.x - 5 * Math.cos(angle + side))} ${round(end.y - 5 * Math.sin(angle + side))}`;
  const shaft = bend === 0 ? 'L' : `Q${round(middle.x)} ${round(middle.y)} `;
  const tip = `${round(end.x)} ${round(end.y)}`;
  return `M${round(start.x)} ${round(start.y)}${shaft}${tip}M${wing(0.5)}L${tip}L${wing(-0.5)}`;
}

function towards(from: Point, to: Point, distance: number): Point {
  const share = distance / (Math.hypot(to.x - from.x, to.y - from.y) || 1);
  return { x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y) };
}

function text(x: number, y: number, content: string, name: string): string {
  return content === ''
    ? ''
    : `<text class="${name}" x="${round(x)}" y="${round(y)}">${escapeHtml(content)}</text>`;
}

function hundredths(value: number): string {
  return value.toFixed(2).replace(/^0/, '');
}

function round(value: number): string {
  return String(+value.toFixed(1));
}
