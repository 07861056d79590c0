// The report's look inside the models that think: what controls leave of them, what they write after fewer thoughts, and
// curves over their thoughts. Knows results; the drawings are lines.ts's.
import type { ControlName } from '../../eval/control.ts';
import type { Forced, Inspection } from '../../eval/inspect.ts';
import { type ClassCounts, PATH_CLASSES } from '../../eval/paths.ts';
import { type ArmResult, group, share } from '../results.ts';
import { escapeHtml } from './html.ts';
import { type LineChart, lineChart } from './lines.ts';

/** What was done to the thoughts, in words. */
const DONE: Readonly<Record<ControlName, string>> = {
  none: 'as they are',
  'no-latent': 'taken out',
  zero: 'blanked',
  noise: 'noise of their length',
  shuffle: "another sample's",
  snap: 'nearest token’s embedding',
};

export function controlsSection(arms: readonly ArmResult[]): string {
  const thinking = arms.filter(({ controls }) => controls.length > 0);
  if (thinking.length === 0) return '';
  const row = (control: ControlName, exactMatch: number): string =>
    `<li style="--p:${(100 * exactMatch).toFixed(1)}%"><span>${escapeHtml(DONE[control])}</span><code>${control}</code><span>${share(exactMatch)}</span></li>`;
  const card = ({ mode, controls }: ArmResult): string =>
    `<article class="card"><h3 class="arm ${escapeHtml(mode)}">${escapeHtml(mode)}</h3><ul class="bars">${controls
      .filter(({ thought }) => thought === null)
      .map(({ control, exactMatch }) => row(control, exactMatch))
      .join('')}</ul></article>`;
  return `<h2>What the thoughts do</h2>
<p class="quiet">Exact match with something else fed back in the place of all thoughts. What leaves the answer right does not need them.</p>
<div class="cards">${thinking.map(card).join('\n')}</div>`;
}

export function insideSection(arms: readonly ArmResult[]): string {
  const inspected = arms.flatMap(({ mode, inspection }) =>
    inspection && inspection.forced.length > 0 ? [{ mode, inspection }] : [],
  );
  if (inspected.length === 0) return '';
  const part = ({ mode, inspection }: (typeof inspected)[number]): string =>
    `${inspected.length > 1 ? `<h3 class="arm ${escapeHtml(mode)}">${escapeHtml(mode)}</h3>\n` : ''}${forcedTable(inspection)}
<div class="smalls">${chartsOf(inspection).map(lineChart).join('\n')}</div>`;
  return `<h2>Inside the thoughts</h2>
<p class="quiet">Means over ${group(inspected[0]!.inspection.samples)} unseen samples.</p>
${inspected.map(part).join('\n')}`;
}

/** What is written after k thoughts, in the six classes of paths where the samples are graph searches. */
function forcedTable({ forced, classes }: Inspection): string {
  const row = ({ thoughts, exactMatch, classes: counts }: Forced): string =>
    `<li><span>${thoughts} thought${thoughts === 1 ? '' : 's'}</span>${counts ? stack(counts) : '<span></span>'}<span>${share(exactMatch)}</span></li>`;
  const legend = PATH_CLASSES.map(name => `<li class="${name}">${name.replace('-', ' ')}</li>`);
  return `<figure class="wide"><figcaption>Made to write the rest after fewer thoughts</figcaption>
<p class="note">${classes ? 'Classes of the path that is written, and exact match of the answer.' : 'Exact match of the answer.'}</p>
<ul class="stacks">${forced.map(row).join('')}</ul>
${classes ? `<ul class="legend">${legend.join('')}</ul>` : ''}</figure>`;
}

function stack(counts: ClassCounts): string {
  const total = PATH_CLASSES.reduce((sum, name) => sum + counts[name], 0);
  const part = (name: (typeof PATH_CLASSES)[number]): string =>
    counts[name] === 0
      ? ''
      : `<i class="${name}" style="flex-grow:${counts[name]}" title="${name.replace('-', ' ')}: ${counts[name]} of ${total}"></i>`;
  const said = PATH_CLASSES.filter(name => counts[name] > 0).map(
    name => `${name.replace('-', ' ')} ${counts[name]}`,
  );
  return `<span class="stack" role="img" aria-label="${said.join(', ')}">${PATH_CLASSES.map(part).join('')}</span>`;
}

function chartsOf({ nodes, norms, entropy, snapKl }: Inspection): LineChart[] {
  const labels = entropy.map(({ thought }) => String(thought));
  const charts: LineChart[] = [];
  if (nodes.length > 0)
    charts.push({
      title: 'Value of the nodes',
      note: 'Probability on them, after k thoughts, as the next to be named',
      labels: nodes.map(({ thoughts, asks }) =>
        asks === 'step' ? String(thoughts) : `${thoughts} (answer)`,
      ),
      series: [
        { name: 'on a shortest path', values: nodes.map(({ optimal }) => optimal) },
        { name: 'at the next depth', values: nodes.map(({ frontier }) => frontier) },
        { name: 'reachable', values: nodes.map(({ reachable }) => reachable) },
        {
          name: 'shortest path by chance',
          values: nodes.map(({ chance }) => chance.optimal),
          reference: true,
        },
      ],
      top: 1,
    });
  charts.push({
    title: 'Entropy of a thought, nats',
    note: 'Of the tokens that the head would say for it',
    labels,
    series: [{ name: 'entropy', values: entropy.map(({ nats }) => nats) }],
  });
  if (norms) {
    const { thoughts, tokens } = norms;
    charts.push({
      title: 'Length of a thought',
      note: 'Beside the embeddings that the model reads elsewhere',
      labels,
      series: [
        { name: 'thought', values: thoughts.map(({ norm }) => norm) },
        { name: 'token embedding', values: thoughts.map(() => tokens.mean), reference: true },
      ],
    });
    if (thoughts.some(({ cosine }) => cosine !== null))
      charts.push({
        title: 'Cosine with the step’s token',
        note: 'Between a thought and the embedding of what it stands for',
        labels,
        series: [{ name: 'cosine', values: thoughts.map(({ cosine }) => cosine) }],
        top: 1,
      });
  }
  if (snapKl.length > 0)
    charts.push({
      title: 'What a snap loses, nats',
      note: 'KL of the next step with this thought put to its nearest token',
      labels,
      series: [{ name: 'KL', values: snapKl.map(({ kl }) => kl) }],
    });
  return charts;
}
