// A profile as one HTML file that needs nothing beside it: a flame chart drawn by the style sheet, which the script
// only zooms, and a table. Knows frames and sums; text from outside is escaped.
import { escapeHtml } from '../../src/train/report/html.ts';
import { count, factsOf, gflops, headlineOf, type Profile, percent, rateOf, time } from './describe.ts';
import { wirePage } from './page.ts';
import { STYLE } from './style.ts';
import { type Frame, frameTree, type KernelSum, kernelName, kernelSums, shortLabel } from './tree.ts';

// The browser itself keeps the promise that the file asks for nothing outside.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/** Kernels with a colour of their own; those of less time share one. */
const COLOURS = 6;

/** The whole file. */
export function profileHtml(profile: Profile): string {
  const { timeline, steps } = profile.measurement;
  const kernels = kernelSums(timeline, steps);
  const tree = frameTree(timeline, steps);
  const colours = coloursOf(kernels);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<link rel="icon" href="data:,">
<title>Mentalese profile: ${escapeHtml(profile.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="eyebrow">Mentalese profile</p>
<h1>${escapeHtml(headlineOf(profile, kernels))}</h1>
<p class="quiet about">${escapeHtml(profile.title)}<br>${escapeHtml(profile.adapter.split(';')[0]!)}</p>
<p class="command">train.ts ${escapeHtml(profile.flags.join(' '))}</p>
${facts(profile)}
${flame(tree, colours)}
${table(kernels, tree.ms, profile.ceiling, colours)}
</main>
<script>(${wirePage.toString()})()</script>
</body>
</html>
`;
}

function facts(profile: Profile): string {
  const fact = ({ name, value, note }: ReturnType<typeof factsOf>[number]) =>
    `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}<small>${escapeHtml(note)}</small></dd></div>`;
  return `<dl class="facts">${factsOf(profile).map(fact).join('\n')}</dl>`;
}

/** Class of a kernel by its file's name up to the first dash: matmul, attention, layernorm … */
type Colours = ReadonlyMap<string, { readonly index: number; readonly ms: number }>;

function family(label: string): string {
  return kernelName(label).split('-')[0]!;
}

function coloursOf(kernels: readonly KernelSum[]): Colours {
  const sums = new Map<string, number>();
  for (const { label, ms } of kernels) sums.set(family(label), (sums.get(family(label)) ?? 0) + ms);
  const sorted = [...sums].sort(([, a], [, b]) => b - a);
  return new Map(sorted.map(([name, ms], i) => [name, { index: Math.min(i, COLOURS), ms }]));
}

function colourClass(colours: Colours, label: string): string {
  return `c${colours.get(family(label))!.index}`;
}

function flame(tree: Frame, colours: Colours): string {
  const frames: string[] = [];
  let rows = 0;
  const draw = (frame: Frame, x: number, depth: number, path: readonly string[]): void => {
    rows = Math.max(rows, depth + 1);
    const width = frame.ms / tree.ms;
    const rate = rateOf(frame);
    const told = [
      path.join(' › ') || 'step',
      `${time(frame.ms)} (${percent(width)})`,
      `${count(frame.calls)} ${frame.calls === 1 ? 'dispatch' : 'dispatches'}`,
      ...(rate === undefined || !frame.kernel ? [] : [`${gflops(rate)} GFLOP/s`]),
    ].join(' · ');
    const kind = frame.kernel ? `kernel ${colourClass(colours, frame.name)}` : '';
    const text = frame.kernel ? shortLabel(frame.name) : frame.name;
    frames.push(
      `<div class="frame ${kind}" title="${escapeHtml(told)}" style="--x:${short(x)};--w:${short(width)};--d:${depth}"><span>${escapeHtml(text)}</span></div>`,
    );
    let left = x;
    for (const child of frame.children) {
      draw(child, left, depth + 1, [...path, child.kernel ? shortLabel(child.name) : child.name]);
      left += child.ms / tree.ms;
    }
  };
  draw(tree, 0, 0, []);
  const chip = (name: string, index: number, ms: number) =>
    `<li class="c${index}">${escapeHtml(name)} <b>${percent(ms / tree.ms)}</b></li>`;
  const own = [...colours].filter(([, { index }]) => index < COLOURS);
  const rest = [...colours.values()].filter(({ index }) => index === COLOURS);
  const others = rest.reduce((sum, { ms }) => sum + ms, 0);
  return `<h2>Where the time goes</h2>
<p class="quiet">Width is time on the device, parts in the order in which they run. Click a part to widen it, the top bar or Escape to go back.</p>
<ul class="legend">${own.map(([name, { index, ms }]) => chip(name, index, ms)).join('')}${rest.length > 0 ? chip('others', COLOURS, others) : ''}</ul>
<div class="flame" tabindex="0" role="img" aria-label="Flame chart of a step; the table below has its kernels" style="--rows:${rows}">
${frames.join('\n')}
</div>
<p class="told" aria-live="polite">&nbsp;</p>`;
}

/** Enough digits for the widest screen. */
function short(share: number): string {
  return String(Number(share.toFixed(6)));
}

const HEAD = [
  ['kernel', 'text'],
  ['ms a step', 'number'],
  ['share', 'number'],
  ['calls', 'number'],
  ['GFLOP/s', 'number'],
  ['of ceiling', 'number'],
  ['shapes', 'number'],
] as const;

function table(kernels: readonly KernelSum[], all: number, ceiling: number, colours: Colours): string {
  const cell = (value: number | undefined, text: string, style = '') =>
    `<td data-value="${value ?? ''}"${style}>${text}</td>`;
  const row = (sum: KernelSum) => {
    const rate = rateOf(sum);
    const share = sum.ms / all;
    const bar = ` class="bar" style="--p:${(sum.ms / kernels[0]!.ms).toFixed(3)}"`;
    const [name, constants] = splitLabel(sum.label);
    return `<tr class="${colourClass(colours, sum.label)}">
<th scope="row" data-value="${escapeHtml(sum.label)}" title="${escapeHtml(sum.label)}"><span class="dot">${escapeHtml(name)}</span> <small>${escapeHtml(constants)}</small></th>
${cell(sum.ms, sum.ms.toFixed(2))}
${cell(share, percent(share), bar)}
${cell(sum.calls, count(sum.calls))}
${cell(rate, rate === undefined ? '–' : gflops(rate))}
${cell(rate, rate === undefined ? '–' : percent(rate / ceiling))}
${cell(sum.shapes.length, shapes(sum))}
</tr>`;
  };
  const heads = HEAD.map(
    ([title, kind]) =>
      `<th scope="col" data-kind="${kind}"${title === 'ms a step' ? ' aria-sort="descending"' : ''}><button type="button">${title}</button></th>`,
  );
  return `<h2>Kernels</h2>
<div class="scroll"><table>
<thead><tr>${heads.join('')}</tr></thead>
<tbody>${kernels.map(row).join('\n')}</tbody>
</table></div>`;
}

function shapes(sum: KernelSum): string {
  const line = (shape: KernelSum['shapes'][number]) => {
    const rate = rateOf(shape);
    const speed = rate === undefined ? '' : ` · ${gflops(rate)} GFLOP/s`;
    return `<li><code>${escapeHtml(shape.shape)}</code> ${count(shape.calls)} × ${time(shape.ms / shape.calls)}${speed}</li>`;
  };
  const title = sum.shapes.length === 1 ? sum.shapes[0]!.shape : `${sum.shapes.length} shapes`;
  return `<details><summary>${escapeHtml(title)}</summary><ul>${sum.shapes.map(line).join('')}</ul></details>`;
}

function splitLabel(label: string): [name: string, constants: string] {
  const [name, ...constants] = shortLabel(label).split(' ');
  return [name!, constants.join(' ')];
}
