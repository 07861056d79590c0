// What a run came to: the content of results.json and the table of it. Knows no metrics and no file system.
import { FORMS } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Inspection } from '../eval/inspect.ts';
import type { ControlResult } from '../eval/report.ts';
import type { TrainOptions } from './option-table.ts';

/** One trained model. Shares are 0 to 1. */
export interface ArmResult {
  readonly mode: TrainOptions['mode'];
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
  /** Seconds of one optimizer step in the last stage, the median. */
  readonly stepSeconds: number;
  /** Most GPU bytes held at once. */
  readonly peakBytes: number;
  readonly parameters: number;
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

export interface RunResults {
  readonly adapter: string;
  readonly seconds: number;
  readonly arms: readonly ArmResult[];
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
  readonly mode: TrainOptions['mode'];
  readonly question: string;
  readonly expected: string;
  readonly output: string;
  readonly correct: boolean;
  /** The nearest tokens of each thought, likeliest first; empty where the model writes its thoughts. */
  readonly thoughts: readonly (readonly TokenProbability[])[];
  /** Where the sample is a graph search, and the model thinks. */
  readonly values: SearchValues | null;
}

/** The text of results.json. */
export function formatResults(results: RunResults): string {
  return `${JSON.stringify(results, null, 2)}\n`;
}

/** Column heads and cells of the results, for the terminal and the report. */
export function resultsCells(arms: readonly ArmResult[]): {
  head: readonly string[];
  rows: readonly string[][];
} {
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
      FORMS[arm.mode].instead === 'latents' ? String(arm.bptt) : '–',
      String(arm.seed),
      group(arm.samples),
      share(arm.exactMatch),
      arm.exactMatchNoLatents === null ? '–' : share(arm.exactMatchNoLatents),
      arm.tokensPerSample.toFixed(1),
      significant(arm.secondsPerSample, 2),
      duration(arm.stepSeconds),
      bytes(arm.peakBytes),
    ]),
  };
}

/** The results as a Markdown table, aligned so that it reads well in a terminal too. */
export function resultsTable(arms: readonly ArmResult[]): string {
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
