// A profile on the terminal: figures, parts, kernels. Knows plain text only.
import { count, factsOf, gflops, type Profile, percent, rateOf, time } from './describe.ts';
import { type Frame, frameTree, kernelSums, shortLabel } from './tree.ts';

/** Levels of the step that the table of parts shows: phases, and the passes of each. */
const LEVELS = 2;

/** Figures, the time of each part, and a row a kernel variant, as lines. */
export function profileText(profile: Profile): string {
  const { measurement, ceiling } = profile;
  const { timeline, steps } = measurement;
  const tree = frameTree(timeline, steps);
  const facts = factsOf(profile).map(({ name, value, note }) => [name, value, note]);
  const parts = partRows(tree, 0).map(({ name, ms, calls }) => [
    name,
    ms.toFixed(2),
    percent(ms / tree.ms),
    count(calls),
  ]);
  const kernels = kernelSums(timeline, steps).map(sum => {
    const rate = rateOf(sum);
    const [most, ...others] = sum.shapes;
    return [
      sum.ms.toFixed(2),
      percent(sum.ms / tree.ms),
      count(sum.calls),
      rate === undefined ? '' : gflops(rate),
      rate === undefined ? '' : percent(rate / ceiling),
      shortLabel(sum.label),
      others.length === 0 ? most!.shape : `${most!.shape} (${time(most!.ms)}), ${others.length} more`,
    ];
  });
  return [
    columns(facts, 'lrl'),
    columns([['part of the step', 'ms', 'share', 'calls'], ...parts], 'lrrr'),
    columns([['ms', 'share', 'calls', 'GFLOP/s', 'ceiling', 'kernel', 'shape'], ...kernels], 'rrrrrll'),
  ].join('\n\n');
}

function partRows(frame: Frame, depth: number): { name: string; ms: number; calls: number }[] {
  return frame.children
    .filter(child => !child.kernel)
    .flatMap(child => [
      { name: '  '.repeat(depth) + child.name, ms: child.ms, calls: child.calls },
      ...(depth + 1 < LEVELS ? partRows(child, depth + 1) : []),
    ]);
}

/** Rows of cells as lines, columns two blanks apart: `align` has l or r for each. */
function columns(rows: readonly (readonly string[])[], align: string): string {
  const widths = [...align].map((_, i) => Math.max(...rows.map(row => row[i]!.length)));
  const pad = (cell: string, i: number): string =>
    align[i] === 'r' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!);
  return rows.map(row => row.map(pad).join('  ').trimEnd()).join('\n');
}
