// The latents bench as Markdown, for terminals and for the kept results alike. Knows figures; knows no device.
import type { Generation, RowFigures } from './generation.ts';
import type { Recompute } from './recompute.ts';
import type { Curve, Scaling } from './scaling.ts';
import type { Spread } from './spread.ts';
import type { StepFigures, Tax } from './tax.ts';

/** Of each measurement, undefined where it was left out. */
export interface Figures {
  readonly tax?: readonly Tax[];
  readonly scaling?: Scaling;
  readonly generation?: readonly Generation[];
  readonly recompute?: readonly Recompute[];
}

export function markdown({ tax, scaling, generation, recompute }: Figures): string {
  const parts = [
    tax && taxText(tax),
    scaling && scalingText(scaling),
    generation && generationText(generation),
    recompute && recomputeText(recompute),
  ];
  return parts.filter(part => part !== undefined).join('\n\n');
}

export function taxText(taxes: readonly Tax[]): string {
  const row = (tax: Tax, kind: string, figures: StepFigures): string[] => [
    tax.size,
    kind,
    `${tax.B} × ${tax.T}`,
    String(figures.labels / tax.B),
    spread(figures.ms),
    spread(figures.recordingMs),
    String(figures.dispatches),
    (figures.flops / 1e9).toFixed(3),
  ];
  const head = ['size', 'rows', 'B × T', 'labels a row', 'ms a step', 'recording, ms', 'dispatches', 'GFLOP'];
  const rows = taxes.flatMap(tax => [
    row(tax, `${tax.n} latents`, tax.latents),
    row(tax, `${tax.n} written steps`, tax.written),
  ]);
  const lines = taxes.map(
    tax => `- **${tax.size}: ${spread(tax.ratio)}** (questions of ${tax.question} columns, window full)`,
  );
  return [
    '### Latent tax',
    'A training step with latents over one whose rows have written, labelled steps in those columns; the answer is ' +
      'labelled in both, and no row is padded. Steps are recorded back to back, two in flight at most; the two kinds ' +
      'take turns. Medians with quartiles; the ratio is taken round by round.',
    lines.join('\n'),
    table(head, rows, 2),
  ].join('\n\n');
}

export function scalingText(scaling: Scaling): string {
  const { curves, columnBytes } = scaling;
  const head = [
    'n',
    ...curves.flatMap(({ window }) => [`ms, ${windowName(window)}`, `MiB, ${windowName(window)}`]),
  ];
  const rows = curves[0]!.points.map(({ n }, i) => [
    String(n),
    ...curves.flatMap(({ points }) => [spread(points[i]!.ms), mib(points[i]!.bytes)]),
  ]);
  const line = (curve: Curve): string => {
    const { window, time, memory } = curve;
    const worst =
      time.worst.share > 0
        ? `at most ${percent(time.worst.share)} above the line, at n = ${time.worst.x}`
        : 'never above the line';
    const extra = memory.slope - columnBytes;
    const share = `${kib(memory.slope)} KiB a latent, of which ${kib(columnBytes)} are what any column needs`;
    const flat =
      window === 'full'
        ? ''
        : Math.abs(extra) < 0.2 * columnBytes
          ? ': the latent part is flat'
          : `: the latent part is not flat, it grows by ${kib(extra)} KiB a latent`;
    return (
      `- ${windowName(window)}: ${time.at0.toFixed(1)} + ${time.slope.toFixed(2)} · n ms, ${worst}; ` +
      share +
      flat
    );
  };
  return [
    '### Scaling with the number of latents',
    `Size ${scaling.size}, batch ${scaling.B}, ${scaling.columns} columns beside the latents. Memory is the most that ` +
      `is alive in a step beyond the ${mib(scaling.modelBytes)} MiB of parameters, gradients and moments. Any column ` +
      'needs its query, key and value, and a place for the record of its query.',
    curves.map(line).join('\n'),
    table(head, rows, 1),
  ].join('\n\n');
}

export function generationText(generations: readonly Generation[]): string {
  const row = ({ size, B }: Generation, kind: string, figures: RowFigures): string[] => [
    size,
    String(B),
    kind,
    spread(figures.ms),
    (figures.ms.median / figures.columns).toFixed(2),
    (figures.ms.median / figures.tokens).toFixed(2),
    spread(figures.furtherMs),
  ];
  const head = ['size', 'batch', 'rows', 'ms', 'ms a column', 'ms a token', 'ms a further token'];
  const rows = generations.flatMap(generation => [
    row(generation, `${generation.n} latents`, generation.latents),
    row(generation, `${generation.n} tokens written`, generation.written),
    row(generation, `${generation.n} tokens read`, generation.read),
  ]);
  const lines = generations.map(({ size, B, columnRatio, tokenRatio, furtherRatio }) =>
    [
      `- ${size}, batch ${B}: a generated column ${spread(columnRatio)} × that of rows whose tokens are written,`,
      `a generated token ${spread(tokenRatio)} × that of rows which read them (the thoughts' own time included),`,
      `a further token ${spread(furtherRatio)} ×`,
    ].join(' '),
  );
  const { latents, n } = generations[0]!;
  return [
    '### Generation',
    `Greedy, with a K/V cache: ${latents.tokens} tokens after the question and ${n} latents; the same with ${n} tokens ` +
      `in their place that the model writes itself (so as many columns one after another), or that stand in the ` +
      'prompt. Times are for the whole batch. A further token is one at the end of the row, everything before it done.',
    lines.join('\n'),
    table(head, rows, 3),
  ].join('\n\n');
}

export function recomputeText(figures: readonly Recompute[]): string {
  const head = [
    'latents',
    'B × T',
    'MiB kept',
    'MiB recomputed',
    'share',
    'ms kept',
    'ms recomputed',
    'ratio',
  ];
  const rows = figures.map(({ n, B, T, keptBytes, recomputedBytes, keptMs, recomputedMs, ratio }) => [
    String(n),
    `${B} × ${T}`,
    mib(keptBytes),
    mib(recomputedBytes),
    percent(recomputedBytes / keptBytes),
    spread(keptMs),
    spread(recomputedMs),
    spread(ratio),
  ]);
  const { layers, width } = figures[0]!;
  return [
    '### Recomputed blocks',
    `A training step of ${layers} layers, width ${width}, with blocks kept and with \`--recompute\`; the two take turns. ` +
      'Memory is the most that is alive in a step beyond parameters, gradients and moments.',
    table(head, rows, 0),
  ].join('\n\n');
}

/** A Markdown table whose columns from `numbers` on are aligned right. */
function table(head: readonly string[], rows: readonly (readonly string[])[], numbers: number): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, i) => (i < numbers ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** "12.3 (11.9–12.8)" */
export function spread({ median, low, high }: Spread): string {
  const digits = median >= 100 ? 0 : median >= 10 ? 1 : 2;
  return `${median.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
}

const windowName = (window: number | 'full'): string => `window ${window}`;
const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(2);
const kib = (bytes: number): string => (bytes / 2 ** 10).toFixed(0);
