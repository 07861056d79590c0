// What an experiment declares: a question, arms, seeds, and how its figures are shown. Knows the trainer's options and
// the records of finished cells; runs nothing.
import type { TrainOptions } from '../../src/train/option-table.ts';
import type { CellRecord } from './record.ts';

/** What a matrix says of a run. Seed, folders and adapter are the runner's. */
export type Options = Partial<
  Omit<TrainOptions, 'seed' | 'adapter' | 'out' | 'init' | 'resume' | 'config' | 'compare' | 'data' | 'valid'>
>;

export interface Experiment {
  /** Of its results and of its file in matrix/. */
  readonly name: string;
  /** One sentence. */
  readonly question: string;
  /** What all arms share, what is fair about it and what is not: Markdown, above the figures. */
  readonly about: string;
  /** Seeds of each arm, from 0 on, unless --seeds says otherwise. */
  readonly seeds: number;
  readonly arms: readonly Arm[];
  readonly sections: readonly Section[];
}

/** One line of the matrix: everything of it but the seed. */
export interface Arm {
  readonly name: string;
  /** What it varies, by name: the axes of plots. */
  readonly factors: Readonly<Record<string, string | number>>;
  /** A cell's time on llvmpipe on two cores, minutes: what the first estimate is made of. */
  readonly minutes: number;
  readonly work: Training | Measurement;
}

/** A run of train.ts, and what is then asked of its model. */
export interface Training {
  readonly kind: 'train';
  readonly options: Options;
  /** Trained first, with the same seed: the model that this one starts from. */
  readonly from?: Prerequisite;
  readonly looks: readonly Look[];
}

export interface Prerequisite {
  readonly name: string;
  readonly options: Options;
  readonly minutes: number;
}

/** An evaluation by tools/evaluate.ts on the unseen samples that the run itself is evaluated on. */
export interface Look {
  /**
   * At the trained model, or at the model as it enters each stage, stage 0 left out: thoughts of a number that it has
   * not been trained on yet. The second needs a checkpoint there: `checkpointEvery` as `stageCheckEvery`.
   */
  readonly at: 'end' | 'stages';
  /** Words of the command line beyond model, samples and adapter. */
  readonly flags: readonly string[];
}

/** A bench that writes its figures to a file (--json). Its seed is the number of the repetition. */
export interface Measurement {
  readonly kind: 'measure';
  readonly script: string;
  readonly flags: readonly string[];
}

/** A number of a finished cell; null where it has none: what was to be reached was not, or the arm has no such thing. */
export interface Figure {
  readonly name: string;
  of(record: CellRecord): number | null;
  show(value: number): string;
}

/** A table of some arms, with plots above it. */
export interface Section {
  readonly title: string;
  /** Markdown. */
  readonly text?: string;
  /** Whether an arm belongs to it; all by default. */
  readonly arms?: (arm: Arm) => boolean;
  readonly figures: readonly Figure[];
  readonly plots: readonly Plot[];
}

interface PlotCommon {
  /** Added to the experiment's name in the file's: bptt-memory.svg. */
  readonly name: string;
  readonly title: string;
}

/** A bar an arm, its length the mean over seeds, and a dot a seed. */
export interface BarPlot extends PlotCommon {
  readonly kind: 'bars';
  readonly figure: Figure;
  /** Arms of the section that have a bar; all by default. */
  readonly arms?: (arm: Arm) => boolean;
}

/** Lines over numbers, or over words in their order. */
export interface LinePlot extends PlotCommon {
  readonly kind: 'lines';
  readonly x: string;
  readonly y: string;
  lines(done: readonly Done[]): readonly Line[];
  /** How the values of y are written. */
  show(value: number): string;
  /** The axis begins at 0 at the latest, and ends here at the earliest. */
  readonly top?: number;
}

export type Plot = BarPlot | LinePlot;

/** An arm with the cells of it that are done, in the order of seeds. */
export interface Done {
  readonly arm: Arm;
  readonly records: readonly CellRecord[];
}

export interface Line {
  /** Lines of one name have one colour and one entry in the legend. */
  readonly name: string;
  readonly points: readonly Point[];
  /** One of several seeds, to be drawn fine. */
  readonly fine?: true;
  /** What another line of its name is to be compared with. */
  readonly dashed?: true;
}

export interface Point {
  readonly x: number | string;
  readonly y: number;
  /** The seeds that `y` is the mean of. */
  readonly seeds?: readonly number[];
}
