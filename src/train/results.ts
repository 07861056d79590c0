// What a run came to: the content of results.json and the table of it. Knows no metrics and no file system.
import type { Mode } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Inspection } from '../eval/inspect.ts';
import type { ControlResult } from '../eval/report.ts';
import { perplexity } from '../eval/text.ts';
import { type Arm, feedsBack } from './arm.ts';
import type { TrainOptions } from './option-table.ts';

/** What is said of any trained model. */
interface Trained {
  readonly bptt: TrainOptions['bptt'];
  readonly seed: number;
  /** Samples trained on. */
  readonly samples: number;
  /** Optimizer steps. */
  readonly steps: number;
  /** The stage in which it ended, whose prompts the evaluation gives, and the last that it could have reached. */
  readonly stage: number;
  readonly lastStage: number;
  /** Seconds of training, validations included. */
  readonly trainSeconds: number;
  /** Seconds of one optimizer step in the last stage, the median; 0 where too few were made to time any. */
  readonly stepSeconds: number;
  /** Most GPU bytes held at once; 0 where a resumed run had no step left. */
  readonly peakBytes: number;
  readonly parameters: number;
}

/** One trained model that answers questions. Shares are 0 to 1. */
export interface ArmResult extends Trained {
  readonly mode: Mode;
  /** Unseen samples of the final evaluation. */
  readonly evalSamples: number;
  readonly exactMatch: number;
  /** The same samples with the latents removed; null where the model has none. */
  readonly exactMatchNoLatents: number | null;
  /** Mean generated tokens, latents counted. */
  readonly tokensPerSample: number;
  readonly secondsPerSample: number;
  /** Each control over all thoughts; empty where the model has none. */
  readonly controls: readonly ControlResult[];
  /** Of the first samples; null where nothing was looked at. */
  readonly inspection: Inspection | null;
}

/** One trained model that goes on with a text, and how well it does on the part that it has not seen. */
export interface TextResult extends Trained {
  readonly mode: 'lm';
  /** Tokens predicted. */
  readonly evalTokens: number;
  /** Mean cross-entropy of a token, in nats. */
  readonly loss: number;
  readonly perplexity: number;
  readonly bitsPerByte: number;
}

export type AnyResult = ArmResult | TextResult;

export interface RunResults<A extends AnyResult = ArmResult> {
  readonly adapter: string;
  readonly seconds: number;
  readonly arms: readonly A[];
}

export function isText(arm: AnyResult): arm is TextResult {
  return arm.mode === 'lm';
}

/** What a model came to, in a few words. */
export function resultSaid(arm: AnyResult): string {
  if (!isText(arm)) return `${group(arm.samples)} samples, exact match ${share(arm.exactMatch)}`;
  return `${group(arm.samples)} rows, on held-out text ${scoreSaid(arm)}`;
}

/** The score of a text, in words. */
export function scoreSaid({ loss, bitsPerByte }: Pick<TextResult, 'loss' | 'bitsPerByte'>): string {
  return `${loss.toFixed(4)} nats a token, perplexity ${significant(perplexity({ loss }), 4)}, ${bitsPerByte.toFixed(4)} bits a byte`;
}

/** A token the model's head would say, with its probability. */
export interface TokenProbability {
  readonly token: string;
  readonly probability: number;
}

/** What a model's thoughts are worth on one sample: the value of each node after 0, 1, … thoughts. */
export interface SearchValues {
  readonly sample: Sample;
  readonly after: readonly {
    readonly thoughts: number;
    readonly asks: 'step' | 'answer';
    /** By node, from 0 to 1. */
    readonly values: readonly number[];
  }[];
}

/** One unseen sample as the report shows it. */
export interface ReportSample {
  readonly mode: Arm;
  /** Of a text: where the model begins, how it goes on there, and what the model writes instead. */
  readonly question: string;
  readonly expected: string;
  readonly output: string;
  /** null of a text, where nothing is right or wrong. */
  readonly correct: boolean | null;
  /** The nearest tokens of each thought, likeliest first; empty where the model writes its thoughts. */
  readonly thoughts: readonly (readonly TokenProbability[])[];
  /** Where the sample is a graph search, and the model thinks. */
  readonly values: SearchValues | null;
}

/** The text of results.json. */
export function formatResults(results: RunResults<AnyResult>): string {
  return `${JSON.stringify(results, null, 2)}\n`;
}

/** Column heads and cells of the results, for the terminal and the report. */
export function resultsCells(arms: readonly AnyResult[]): Cells {
  const texts = arms.filter(isText);
  return texts.length > 0 ? textCells(texts) : answerCells(arms.filter(arm => !isText(arm)));
}

interface Cells {
  readonly head: readonly string[];
  readonly rows: readonly string[][];
}

function textCells(arms: readonly TextResult[]): Cells {
  return {
    head: ['mode', 'seed', 'rows', 'loss', 'perplexity', 'bits/byte', 'step time', 'peak memory'],
    rows: arms.map(arm => [
      arm.mode,
      String(arm.seed),
      group(arm.samples),
      arm.loss.toFixed(4),
      significant(arm.perplexity, 4),
      arm.bitsPerByte.toFixed(4),
      measured(arm.stepSeconds, duration),
      measured(arm.peakBytes, bytes),
    ]),
  };
}

function answerCells(arms: readonly ArmResult[]): Cells {
  return {
    head: [
      'mode',
      'bptt',
      'seed',
      'samples',
      'exact match',
      'latents removed',
      'tokens/sample',
      'seconds/sample',
      'step time',
      'peak memory',
    ],
    rows: arms.map(arm => [
      arm.mode,
      feedsBack(arm.mode) ? String(arm.bptt) : '–',
      String(arm.seed),
      group(arm.samples),
      share(arm.exactMatch),
      arm.exactMatchNoLatents === null ? '–' : share(arm.exactMatchNoLatents),
      arm.tokensPerSample.toFixed(1),
      significant(arm.secondsPerSample, 2),
      measured(arm.stepSeconds, duration),
      measured(arm.peakBytes, bytes),
    ]),
  };
}

/** Of what is 0 only where nothing was measured. */
function measured(value: number, said: (value: number) => string): string {
  return value > 0 ? said(value) : '–';
}

/** The results as a Markdown table, aligned so that it reads well in a terminal too. */
export function resultsTable(arms: readonly AnyResult[]): string {
  const { head, rows } = resultsCells(arms);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map(row => row[i].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => pad(cell, widths[i], i)).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

/** 17234 → "17,234" */
export function group(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** 0.974 → "0.974" */
export function share(value: number): string {
  return value.toFixed(3);
}

/** Bytes in binary units: 1536 → "1.5 KiB". */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = count;
  for (; value >= 1023.5 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Seconds: "35 ms", "4.2 s", "2:07", "1:02:03". */
export function duration(seconds: number): string {
  if (seconds < 0.9995) return `${significant(seconds * 1000, 2)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** At least `digits` significant digits, no exponent: 0.00123 → "0.0012", 12.3 → "12". */
export function significant(value: number, digits: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const decimals = digits - 1 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(20, Math.max(0, decimals)));
}
