// The report of a run: one HTML file that needs nothing beside it. Knows results, metrics and samples; the text
// of the plotting library is given, and nothing is read or written here.

import type { MetricRecord } from './metrics.ts';
import { flagName, OPTION_KEYS, OPTIONS, showOption, type TrainOptions } from './option-table.ts';
import { drawCharts } from './report/charts.ts';
import { type ReportCurves, reportCurves } from './report/curves.ts';
import { searchGraphs } from './report/graphs.ts';
import { escapeHtml } from './report/html.ts';
import { controlsSection, insideSection } from './report/inside.ts';
import { STYLE } from './report/style.ts';
import {
  type AnyResult,
  duration,
  group,
  isText,
  type ReportSample,
  type RunResults,
  resultsCells,
  scoreSaid,
  share,
} from './results.ts';

export interface ReportInput {
  readonly results: RunResults<AnyResult>;
  /** Of all arms, as metrics.jsonl holds them. */
  readonly metrics: readonly MetricRecord[];
  readonly samples: readonly ReportSample[];
  readonly options: TrainOptions;
  /** The texts of uplot/dist/uPlot.iife.min.js and uPlot.min.css. */
  readonly uplotJs: string;
  readonly uplotCss: string;
}

// The browser itself keeps the promise that the file asks for nothing outside.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

// uPlot 1.6.32 hands navigator.language to Intl as it loads. Chromium under LANG=C calls itself `en-US@posix`, which
// Intl refuses, and no plot would appear. Goes when uPlot guards its `new Intl.NumberFormat`.
const LANGUAGE_GUARD =
  "try { new Intl.NumberFormat(navigator.language) } catch { Object.defineProperty(navigator, 'language', { value: 'en-US' }) }";

/** The whole file. All text from data is escaped; curves travel as JSON and are drawn by report/charts.ts. */
export function reportHtml({ results, metrics, samples, options, uplotJs, uplotCss }: ReportInput): string {
  const curves = reportCurves(metrics);
  const answering = results.arms.filter(arm => !isText(arm));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<link rel="icon" href="data:,">
<title>Mentalese: ${escapeHtml(runName(options))}</title>
<style>${inStyle(uplotCss)}${STYLE}</style>
</head>
<body>
<main>
${headline(results, options)}
${table(results)}
${controlsSection(answering)}
${charts(curves)}
${insideSection(answering)}
${samplesSection(samples)}
${settings(options)}
</main>
<script type="application/json" id="curves">${jsonInScript(curves)}</script>
<script>${LANGUAGE_GUARD}</script>
<script>${inScript(uplotJs)}</script>
<script>(${inScript(drawCharts.toString())})(uPlot, JSON.parse(document.getElementById('curves').textContent))</script>
</body>
</html>
`;
}

function runName({ preset, mode, task, data }: TrainOptions): string {
  if (mode === 'lm') return `language model of ${data}`;
  const on = data ?? task;
  return on === preset ? preset : `${preset} on ${on}`;
}

function headline({ arms, adapter, seconds }: RunResults<AnyResult>, options: TrainOptions): string {
  const [first] = arms;
  const facts = [runName(options), adapter, `${duration(seconds)} in all`];
  if (first !== undefined) facts.push(`${group(first.parameters)} parameters`);
  const says = first === undefined ? 'No model was evaluated' : said(first);
  return `<p class="eyebrow">Mentalese run</p>
<h1>${escapeHtml(says)}</h1>
<p class="quiet">${facts.map(escapeHtml).join(' · ')}</p>`;
}

function said(arm: AnyResult): string {
  if (isText(arm)) return `${scoreSaid(arm)} on ${group(arm.evalTokens)} unseen tokens`;
  const without = arm.exactMatchNoLatents;
  return (
    `${share(arm.exactMatch)} exact match on ${group(arm.evalSamples)} unseen samples` +
    (without === null ? '' : `, ${share(without)} with its latents removed`)
  );
}

function table({ arms }: RunResults<AnyResult>): string {
  if (arms.length === 0) return '';
  const { head, rows } = resultsCells(arms);
  const row = ([mode, ...cells]: readonly string[]) =>
    `<tr><th scope="row" class="arm ${escapeHtml(mode)}">${escapeHtml(mode)}</th>${cells.map(cell => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;
  return `<h2>Results</h2>
<div class="scroll"><table>
<thead><tr>${head.map(title => `<th scope="col">${escapeHtml(title)}</th>`).join('')}</tr></thead>
<tbody>${rows.map(row).join('\n')}</tbody>
</table></div>`;
}

function charts({ charts, stages }: ReportCurves): string {
  const figure = ({ id, title, x }: ReportCurves['charts'][number]) =>
    `<figure><figcaption>${escapeHtml(title)}</figcaption><div class="chart" id="chart-${id}" role="img">${
      x.length === 0 ? 'No records.' : 'Drawn by a script, which this browser did not run.'
    }</div></figure>`;
  const note = stages.length > 0 ? ' Dashed lines mark where a stage of the curriculum begins.' : '';
  return `<h2>Training</h2>
<p class="quiet">Over the number of samples trained on.${note}</p>
<div class="charts">${charts.map(figure).join('\n')}</div>`;
}

function samplesSection(samples: readonly ReportSample[]): string {
  if (samples.length === 0) return '';
  const thoughts = samples.some(sample => sample.thoughts.length > 0)
    ? '<p class="quiet">Under each latent thought: the tokens the LM head would say for it, with their probabilities. A thought may hold more than its tokens show.</p>\n'
    : '';
  const graphs = samples.some(sample => sample.values !== null)
    ? '<p class="quiet">In the graphs: how likely the model, made to speak after so many thoughts, would name each node next. The root has a strong ring, the target a green one, the wrong candidate a dashed red one; strong edges are shortest ways. What lies as many hops from the root stands in one row.</p>\n'
    : '';
  return `<h2>Unseen samples</h2>
${thoughts}${graphs}<div class="samples">${samples.map(sampleCard).join('\n')}</div>`;
}

function sampleCard({ mode, question, expected, output, correct, thoughts, values }: ReportSample): string {
  const right = correct ? '<span class="right">✓ right</span>' : '<span class="wrong">✗ wrong</span>';
  const verdict = correct === null ? '' : right;
  const token = ({ token, probability }: ReportSample['thoughts'][number][number]) =>
    `<li style="--p:${(100 * probability).toFixed(1)}%"><span class="token">${escapeHtml(token)}</span><span>${probability.toFixed(2)}</span></li>`;
  const thought = (tokens: ReportSample['thoughts'][number], index: number) =>
    `<li><h3>thought ${index + 1}</h3><ol>${tokens.map(token).join('')}</ol></li>`;
  return `<article class="sample">
<header><span class="arm ${escapeHtml(mode)}">${escapeHtml(mode)}</span>${verdict}</header>
<p class="text">${escapeHtml(question)}</p>
<dl class="said"><dt>expected</dt><dd class="text">${escapeHtml(expected)}</dd><dt>said</dt><dd class="text">${escapeHtml(output)}</dd></dl>
${thoughts.length === 0 ? '' : `<ul class="thoughts">${thoughts.map(thought).join('')}</ul>`}
${values === null ? '' : searchGraphs(values)}
</article>`;
}

function settings(options: TrainOptions): string {
  const groups = [...new Set(OPTION_KEYS.map(key => OPTIONS[key].group))];
  const entry = (key: (typeof OPTION_KEYS)[number]) =>
    `<dt>${flagName(key)}</dt><dd>${escapeHtml(showOption(key, options[key]))}</dd>`;
  const section = (name: string) =>
    `<section><h3>${name}</h3><dl>${OPTION_KEYS.filter(key => OPTIONS[key].group === name)
      .map(entry)
      .join('')}</dl></section>`;
  return `<h2>Settings</h2>
<div class="settings">${groups.map(section).join('\n')}</div>`;
}

/** JSON that cannot end its element: a `<` can only stand inside a string. */
function jsonInScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

/** Script text that cannot end its element: both sequences can only stand inside a string or a comment. */
function inScript(text: string): string {
  return text.replace(/<\/(?=script)/gi, '<\\/').replaceAll('<!--', '<\\!--');
}

function inStyle(text: string): string {
  return text.replace(/<\/(?=style)/gi, '<\\/');
}
