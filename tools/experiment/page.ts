// The page of an experiment, docs/results/NAME.md, and the plots beside it: a function of its declaration and its
// results, so that equal results give equal bytes. Knows Markdown; knows no file system.
import { duration } from '../../src/train/results.ts';
import type { Cell } from './cell.ts';
import type { Done, Experiment, Figure, Section } from './experiment.ts';
import { summaryOf } from './figures.ts';
import { plotOf } from './plots.ts';
import type { CellRecord } from './record.ts';
import { type Results, recordOf } from './results.ts';

export interface Page {
  readonly text: string;
  /** SVG texts by file name. */
  readonly plots: ReadonlyMap<string, string>;
}

/** `cells` are those of the matrix, prerequisites among them; only what is recorded of them is shown. */
export function pageOf(experiment: Experiment, results: Results, cells: readonly Cell[]): Page {
  const { name, question, about, arms, sections } = experiment;
  const records = cells.flatMap(cell => recordOf(results, cell) ?? []);
  const done = arms.map((arm): Done => ({ arm, records: records.filter(record => record.arm === arm.name) }));
  const plots = new Map<string, string>();
  const parts = [
    `# ${name}`,
    `**${question}**`,
    about.trim(),
    provenance(experiment, records, cells),
    ...sections.flatMap(section => sectionText(experiment, section, done, plots)),
    everyRun(experiment, records),
    commands(records),
  ];
  return { text: `${parts.filter(part => part !== '').join('\n\n')}\n`, plots };
}

function provenance({ name }: Experiment, records: readonly CellRecord[], cells: readonly Cell[]): string {
  if (records.length === 0) return 'No cell is done yet.';
  const commits = [...new Set(records.map(({ commit }) => commit))];
  const days = records.map(({ date }) => date.slice(0, 10)).sort();
  const [first, last] = [days[0]!, days.at(-1)!];
  const seconds = records.reduce((sum, record) => sum + record.seconds, 0);
  return (
    `Made by \`npm run experiment -- ${name}\` on ${records[0]!.adapter}, ${first === last ? first : `${first} to ${last}`}, ` +
    `commit${commits.length > 1 ? 's' : ''} ${commits.join(', ')}: ${records.length} of ${cells.length} cells, ` +
    `${duration(seconds)} in all. Figures are means over seeds, with the lowest and the highest in brackets; the last table has every seed.`
  );
}

function sectionText(
  { name }: Experiment,
  { title, text, arms = () => true, figures, plots }: Section,
  all: readonly Done[],
  files: Map<string, string>,
): string[] {
  const done = all.filter(({ arm, records }) => arms(arm) && records.length > 0);
  if (done.length === 0) return [];
  const images = plots.flatMap(plot => {
    const svg = plotOf(plot, done);
    const file = `${name}-${plot.name}.svg`;
    if (svg !== undefined) files.set(file, svg);
    return svg === undefined ? [] : [`![${plot.title}](${file})`];
  });
  // A figure that no cell has is no column.
  const shown = figures.filter(figure => done.some(({ records }) => summaryOf(figure, records) !== '–'));
  const rows = done.map(({ arm, records }) => [
    arm.name,
    String(records.length),
    ...shown.map(figure => summaryOf(figure, records)),
  ]);
  const head = ['arm', 'seeds', ...shown.map(figure => figure.name)];
  return [`## ${title}`, text ?? '', ...images, shown.length > 0 ? table(head, rows, 1) : ''];
}

/** A row a record, prerequisites too, with all figures that some section shows. */
function everyRun({ sections }: Experiment, records: readonly CellRecord[]): string {
  if (records.length === 0) return '';
  const figures = new Map<string, Figure>();
  for (const section of sections) for (const figure of section.figures) figures.set(figure.name, figure);
  const shown = [...figures.values()].filter(figure => records.some(record => figure.of(record) !== null));
  const rows = records.map(record => [
    record.arm,
    String(record.seed),
    ...shown.map(figure => show(figure, record)),
    duration(record.seconds),
    `\`${record.id}\``,
  ]);
  return `## Every run\n\n${table(['arm', 'seed', ...shown.map(figure => figure.name), 'in all', 'cell'], rows, 1)}`;
}

function show(figure: Figure, record: CellRecord): string {
  const value = figure.of(record);
  return value === null ? '–' : figure.show(value);
}

function commands(records: readonly CellRecord[]): string {
  if (records.length === 0) return '';
  const lines = records.flatMap(({ arm, seed, id, commands }) => [
    `# ${arm}, seed ${seed} (${id})`,
    ...commands,
  ]);
  return `## Commands\n\n<details><summary>What made each of them</summary>\n\n\`\`\`sh\n${lines.join('\n')}\n\`\`\`\n\n</details>`;
}

/** A Markdown table whose columns from `numbers` on are aligned right. */
function table(head: readonly string[], rows: readonly (readonly string[])[], numbers: number): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const under = head.map((_, i) => (i < numbers ? '---' : '---:'));
  return [line(head), line(under), ...rows.map(line)].join('\n');
}
