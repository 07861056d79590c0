// A model's whole evaluation: exact match, controls, what is inside, thoughts by need; as an object and as text. Knows
// what is measured; knows no files and no command line.
import { silentIn } from '../data/batch.ts';
import { promptOf } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { UserError } from '../errors.ts';
import type { Gpt } from '../model/gpt.ts';
import { type Control, checkControl, everyControl, overAll } from './control.ts';
import { evaluate } from './evaluate.ts';
import { evaluateHalting, type Halt, type HaltResult } from './halt.ts';
import { type Inspection, inspect } from './inspect.ts';
import { type ClassCounts, PATH_CLASSES } from './paths.ts';
import type { Asking } from './prompting.ts';
import type { Scoring } from './scoring.ts';

/** Shares are 0 to 1. */
export interface EvaluationReport {
  readonly mode: string;
  readonly samples: number;
  readonly exactMatch: number;
  /** With the latents taken out; null where the model has none. */
  readonly exactMatchNoLatents: number | null;
  /** Mean of tokens written, latents counted. */
  readonly tokensPerSample: number;
  readonly secondsPerSample: number;
  readonly controls: readonly ControlResult[];
  readonly inspect: Inspection | null;
  readonly halt: HaltResult | null;
}

export interface ControlResult extends Control {
  readonly exactMatch: number;
}

export interface ReportOptions extends Asking {
  readonly batch: number;
  /** Of the control `noise`. */
  readonly seed: number;
  /** Those named, all that there are, or all that are over all thoughts. */
  readonly controls: readonly Control[] | 'all' | 'over all';
  /** When an answer is right; `text` by default. */
  readonly scoring?: Scoring | undefined;
  readonly inspect: boolean;
  readonly halt: (Halt & { readonly maxThoughts: number | undefined }) | undefined;
}

/** Throws UserError where the model cannot be asked so. */
export async function evaluationReport(
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  { controls: named, inspect: inspected, halt, seed, ...asked }: ReportOptions,
): Promise<EvaluationReport> {
  const { mode, stage, curriculum, batch, scoring } = asked;
  const prompts = samples.map(sample => promptOf(sample, tokenizer, mode, stage, curriculum));
  const thoughts = Math.max(...prompts.map(({ latents }) => latents));
  const silent = Math.max(...prompts.map(silentIn));
  const controls = typeof named === 'string' ? controlsFor(named, thoughts, silent, samples.length) : named;
  for (const control of controls)
    checkControl(control, control.control === 'no-latent' ? silent : thoughts, samples.length);
  if (halt && thoughts === 0 && halt.maxThoughts === undefined)
    throw new UserError(`a ${mode} model has no thoughts to halt: give their most`);

  const whole = await evaluate(model, tokenizer, samples, asked);
  const without =
    silent > 0
      ? await evaluate(model, tokenizer, samples, { ...asked, control: overAll('no-latent') })
      : null;
  const controlled: ControlResult[] = [];
  for (const control of controls) {
    // Both are known already.
    const known = { none: whole, 'no-latent': without }[control.control as string];
    const { exactMatch } = known ?? (await evaluate(model, tokenizer, samples, { ...asked, seed, control }));
    controlled.push({ ...control, exactMatch });
  }
  return {
    mode,
    samples: samples.length,
    exactMatch: whole.exactMatch,
    exactMatchNoLatents: without?.exactMatch ?? null,
    tokensPerSample: whole.tokensPerSample,
    secondsPerSample: whole.secondsPerSample,
    controls: controlled,
    inspect: inspected
      ? (await inspect(model, tokenizer, samples, { mode, stage, curriculum }, whole, { batch, scoring }))
          .inspection
      : null,
    halt: halt
      ? await evaluateHalting(model, tokenizer, samples, {
          ...{ rule: halt.rule, threshold: halt.threshold, maxThoughts: halt.maxThoughts ?? thoughts },
          ...{ endMarker: curriculum.endMarker, batch, scoring },
        })
      : null,
  };
}

function controlsFor(
  which: 'all' | 'over all',
  thoughts: number,
  silent: number,
  samples: number,
): Control[] {
  const every = everyControl(thoughts, silent);
  if (which === 'all') return every;
  if (silent === 0) return [];
  // One sample has no other to be shuffled with.
  return every.filter(({ control, thought }) => thought === null && (control !== 'shuffle' || samples > 1));
}

/** The report for a terminal. */
export function reportText(report: EvaluationReport): string {
  const { exactMatchNoLatents: without, inspect: inside, halt } = report;
  const lines = [
    `${report.samples} samples, mode ${report.mode}`,
    `exact match            ${share(report.exactMatch)}`,
    ...(without === null ? [] : [`with latents removed   ${share(without)}`]),
    `tokens a sample        ${report.tokensPerSample.toFixed(1)} (latents counted)`,
    `seconds a sample       ${report.secondsPerSample.toPrecision(2)}`,
  ];
  if (report.controls.length > 0) lines.push('', ...controlLines(report.controls));
  if (inside) lines.push('', ...inspectionLines(inside));
  if (halt) lines.push('', ...haltLines(halt));
  return lines.join('\n');
}

/** A row a control, a column a thought: all of them, then each alone. */
function controlLines(controls: readonly ControlResult[]): string[] {
  const thoughts = [...new Set(controls.map(({ thought }) => thought))].sort((a, b) => (a ?? 0) - (b ?? 0));
  const names = [...new Set(controls.map(({ control }) => control))];
  return table([
    ['control', ...thoughts.map(thought => (thought === null ? 'all' : `thought ${thought}`))],
    ...names.map(name => [
      name,
      ...thoughts.map(thought => {
        const found = controls.find(one => one.control === name && one.thought === thought);
        return found ? share(found.exactMatch) : '';
      }),
    ]),
  ]);
}

function inspectionLines({ classes, forced, nodes, norms, entropy, snapKl }: Inspection): string[] {
  const counts = (one: ClassCounts | null): string[] =>
    one ? PATH_CLASSES.map(name => String(one[name])) : [];
  const lines: string[] = [];
  if (forced.length > 0)
    lines.push(
      ...table([
        ['thoughts, then text', 'exact match', ...(classes ? PATH_CLASSES : [])],
        ...forced.map(row => [String(row.thoughts), share(row.exactMatch), ...counts(row.classes)]),
      ]),
    );
  else if (classes)
    lines.push(
      ...table([
        ['', ...PATH_CLASSES],
        ['classes', ...counts(classes)],
      ]),
    );
  if (nodes.length > 0)
    lines.push(
      '',
      ...table([
        [
          'value after thoughts',
          'asked',
          'on nodes',
          'reachable',
          'frontier',
          'optimal',
          'best one',
          'chance',
        ],
        ...nodes.map(row => [
          ...[String(row.thoughts), row.asks, share(row.nodes), share(row.reachable), share(row.frontier)],
          ...[share(row.optimal), share(row.top[0]), share(row.chance.optimal)],
        ]),
      ]),
    );
  if (norms)
    lines.push(
      '',
      ...table([
        ['thought', 'norm', 'cosine', 'entropy', 'likeliest', 'KL of snap'],
        ...norms.thoughts.map(({ thought, norm, cosine }, i) => [
          ...[String(thought), norm.toFixed(2), cosine === null ? '–' : cosine.toFixed(2)],
          ...[entropy[i]!.nats.toFixed(3), share(entropy[i]!.peak), snapKl[i]?.kl.toFixed(4) ?? '–'],
        ]),
      ]),
      `token embeddings: norm ${norms.tokens.mean.toFixed(2)} ± ${norms.tokens.deviation.toFixed(2)}`,
    );
  return lines;
}

function haltLines({
  rule,
  threshold,
  maxThoughts,
  meanThoughts,
  exactMatch,
  curve,
  fixed,
}: HaltResult): string[] {
  return [
    `halt by ${rule} below ${threshold}: ${meanThoughts.toFixed(2)} of ${maxThoughts} thoughts, exact match ${share(exactMatch)}`,
    ...table([
      ['threshold', 'thoughts', 'exact match'],
      ...curve.map(point => [
        point.threshold.toPrecision(3),
        point.meanThoughts.toFixed(2),
        share(point.exactMatch),
      ]),
      ...fixed.map(point => ['all rows', String(point.thoughts), share(point.exactMatch)]),
    ]),
  ];
}

/** Columns as wide as their widest cell, the first to the left and the others to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)));
  return rows.map(row =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

function share(value: number): string {
  return value.toFixed(3);
}
