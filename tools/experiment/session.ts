// One run of an experiment: what is done, what is left, cell after cell within a budget, and the results after each.
// Knows files, processes and the terminal; what a cell does is run.ts's, what results look like page.ts's.
import { commit } from '../../bench/provenance.ts';
import { adapterSlug } from '../../bench/results.ts';
import { UserError } from '../../src/errors.ts';
import type { Files } from '../../src/files.ts';
import { adapterTitle } from '../../src/gpu/describe.ts';
import { type AdapterChoice, openNodeGpu } from '../../src/platform/node.ts';
import { duration } from '../../src/train/results.ts';
import { type Cell, cellsOf, withPrerequisites } from './cell.ts';
import { Children, Interrupted } from './children.ts';
import type { Experiment } from './experiment.ts';
import { holdFolder } from './lock.ts';
import { pageOf } from './page.ts';
import { estimate, estimateAll, next, type Ran } from './plan.ts';
import type { CellRecord } from './record.ts';
import { formatResults, parseResults, type Results, recordOf, withRecord } from './results.ts';
import { isTrained, runCell, type Surroundings } from './run.ts';
import { Terminal } from './terminal.ts';
import { runAgain } from './verify.ts';

export interface Settings {
  readonly seeds: number;
  /** Arms; all where it is undefined. */
  readonly only?: readonly string[];
  readonly adapter: AdapterChoice;
  /** Folder of the results instead of the two usual ones. */
  readonly out?: string;
  readonly runs: string;
}

/** Differences that --verify tells. */
const SHOWN = 4;

export class Session {
  readonly experiment: Experiment;
  /** All of the matrix, prerequisites too: the order of the results. */
  readonly cells: readonly Cell[];
  /** Those asked for, without prerequisites. */
  readonly asked: readonly Cell[];
  readonly #settings: Settings;
  readonly #files: Files;
  readonly #children = new Children();
  readonly #terminal = new Terminal();
  #results: Results;

  static async open(experiment: Experiment, settings: Settings, files: Files): Promise<Session> {
    const { name, question } = experiment;
    const path = pathsOf(name, settings).json;
    const results = (await files.exists(path))
      ? parseResults(await files.readText(path), path, name)
      : { experiment: name, question, records: [] };
    return new Session(experiment, settings, files, { ...results, question });
  }

  private constructor(experiment: Experiment, settings: Settings, files: Files, results: Results) {
    // Seeds that are done are shown, whether or not this run is about them.
    const seeds = Math.max(settings.seeds, ...results.records.map(({ seed }) => seed + 1));
    const cells = cellsOf(experiment, seeds);
    this.experiment = experiment;
    this.cells = withPrerequisites(cells);
    this.asked = cells.filter(
      ({ arm, seed }) => seed < settings.seeds && (settings.only?.includes(arm) ?? true),
    );
    this.#settings = settings;
    this.#files = files;
    this.#results = results;
  }

  /** The record of a cell that is done. */
  recordOf(cell: Cell): CellRecord | undefined {
    return recordOf(this.#results, cell);
  }

  interrupt(): void {
    this.#terminal.message('stopping, with what is done kept …');
    this.#children.interrupt();
  }

  /** Runs what is left and fits into `budget` minutes. Throws UserError where cells failed or it was interrupted. */
  async run(budget: number | null, stopping: () => boolean): Promise<void> {
    if (this.asked.every(cell => this.recordOf(cell))) {
      await this.#write();
      return this.#terminal.message(
        `nothing to do: ${count(this.asked.length, 'cell')} of ${this.experiment.name} done`,
      );
    }
    const around = await this.#open();
    let left = await this.#left(around);
    const total = left.length;
    const failed: string[] = [];
    const begun = performance.now();
    this.#terminal.message(
      `${this.experiment.name}: ${this.experiment.question}\n${this.#plan(left, around)}`,
    );
    while (!stopping()) {
      const remaining =
        budget === null ? Number.POSITIVE_INFINITY : 60 * budget - (performance.now() - begun) / 1000;
      const cell = next(left.map(dependent), this.#ran(), remaining)?.cell;
      if (!cell) break;
      const time = estimate(cell, this.#ran());
      const title = `[${total - left.length + 1}/${total}] ${nameOf(cell)}`;
      this.#terminal.begin(
        `${title} · about ${duration(time)}, all that is left ${duration(this.#estimate(left))}`,
        title,
      );
      try {
        const record = await runCell(cell, around);
        this.#results = withRecord(this.#results, record, this.cells);
        await this.#write();
        this.#terminal.end(`${title} · ${outcome(record)}`);
        left = left.filter(other => other !== cell);
      } catch (error) {
        if (error instanceof Interrupted) break;
        if (!(error instanceof UserError)) throw error;
        this.#terminal.end(`${title} · failed: ${error.message}`);
        failed.push(nameOf(cell));
        left = left.filter(other => other !== cell && fromOf(other)?.id !== cell.id);
      }
    }
    this.#terminal.close();
    const done = this.asked.filter(cell => this.recordOf(cell)).length;
    const summary = `${done} of ${count(this.asked.length, 'cell')} done`;
    if (failed.length > 0) throw new UserError(`${summary}; failed: ${failed.join('; ')}`);
    if (stopping()) throw new UserError(`stopped with ${summary}; the same command goes on`);
    const over =
      left.length > 0
        ? `; left for another run, about ${duration(this.#estimate(left))}: ${left.map(nameOf).join('; ')}`
        : '';
    this.#terminal.message(`${summary}${over}\n${this.#paths.page} shows them`);
  }

  /** Runs a recorded cell again, in a folder of its own, and compares. Throws UserError where a figure differs. */
  async verify(id: string | null): Promise<void> {
    const recorded = this.cells.flatMap(cell => {
      const record = this.recordOf(cell);
      return record ? [{ cell, record }] : [];
    });
    const chosen =
      id === null
        ? recorded.sort((a, b) => a.record.seconds - b.record.seconds)[0]
        : recorded.find(({ record }) => record.id.startsWith(id));
    if (!chosen)
      throw new UserError(
        `--verify${id === null ? '' : ` ${id}`}: no finished cell of ${this.experiment.name} to run again (--list shows them)`,
      );
    const { cell, record } = chosen;
    const name = `${nameOf(cell)} (${cell.id})`;
    const around = await this.#open();
    this.#terminal.begin(`${name} again · about ${duration(record.seconds)}`, nameOf(cell));
    const found = await runAgain(cell, record, around).catch(error => {
      throw error instanceof Interrupted ? new UserError('stopped') : error;
    });
    this.#terminal.close();
    const more = found.length > SHOWN ? ` and ${found.length - SHOWN} more` : '';
    const here = commit();
    const elsewhere =
      record.commit === here
        ? ''
        : `. The record is of commit ${record.commit}, this is ${here}, and kernels may sum in another order since; there the figures can be held to the bit`;
    if (found.length > 0)
      throw new UserError(
        `${name} came out otherwise: ${found.slice(0, SHOWN).join('; ')}${more}${elsewhere}`,
      );
    this.#terminal.message(`${name}: every figure but times is the same bit for bit`);
  }

  get #paths() {
    return pathsOf(this.experiment.name, this.#settings);
  }

  /** Finds the adapter, which must be that of the results so far, and holds the folder of the runs. */
  async #open(): Promise<Surroundings> {
    const { adapter, runs } = this.#settings;
    const { gpu, close } = await openNodeGpu(adapter);
    const name = adapterTitle(gpu.info);
    const slug = adapterSlug(gpu.info);
    await close();
    const other = this.#results.records.find(record => record.adapter !== name);
    if (other)
      throw new UserError(
        `${this.#paths.json}: is of ${other.adapter}, and here is ${name}: an experiment never mixes adapters; give --out another folder`,
      );
    await this.#files.makeFolder(runs);
    holdFolder(runs);
    return {
      files: this.#files,
      children: this.#children,
      runs: `${runs}/${slug}`,
      adapter: { flag: adapter, name },
      commit,
      now: () => new Date().toISOString(),
      line: text => this.#terminal.line(text),
    };
  }

  /** What is asked for and not done, and before each cell the one that it starts from, where its model is not here. */
  async #left(around: Surroundings): Promise<Cell[]> {
    const left: Cell[] = [];
    for (const cell of withPrerequisites(this.asked.filter(cell => !this.recordOf(cell)))) {
      const here = this.recordOf(cell) && (await isTrained(cell, around));
      if (!here) left.push(cell);
    }
    return left;
  }

  #plan(left: readonly Cell[], { adapter }: Surroundings): string {
    const { arms, name } = this.experiment;
    const done = this.asked.filter(cell => this.recordOf(cell)).length;
    const prerequisites = left.filter(cell => !this.asked.includes(cell)).length;
    return (
      `${count(this.asked.length, 'cell')} (${name} has ${count(arms.length, 'arm')}, ${count(this.#settings.seeds, 'seed')}), ${done} done; ` +
      `${left.length} to run${prerequisites > 0 ? `, ${prerequisites} of them that others start from` : ''}: ` +
      `about ${duration(this.#estimate(left))} on ${adapter.name}`
    );
  }

  #estimate(cells: readonly Cell[]): number {
    return estimateAll(cells, this.#ran());
  }

  #ran(): Ran[] {
    return this.#results.records.flatMap(({ arm, seconds }) => {
      const cell = this.cells.find(other => other.arm === arm);
      return cell ? [{ arm, minutes: cell.minutes, seconds }] : [];
    });
  }

  /** Writes results, page and plots where they are not what they should be. */
  async #write(): Promise<void> {
    const { json, page, folder } = this.#paths;
    const { text, plots } = pageOf(this.experiment, this.#results, this.cells);
    const contents = new Map([
      [json, formatResults(this.#results)],
      [page, text],
    ]);
    for (const [name, svg] of plots) contents.set(`${folder}/${name}`, svg);
    for (const [path, content] of contents) {
      if ((await this.#files.exists(path)) && (await this.#files.readText(path)) === content) continue;
      await this.#files.makeFolder(path.slice(0, path.lastIndexOf('/')));
      await this.#files.writeAtomic(path, content);
    }
  }
}

function pathsOf(name: string, { out }: Settings) {
  const folder = out ?? 'docs/results';
  return { json: `${out ?? 'results'}/${name}.json`, page: `${folder}/${name}.md`, folder };
}

export function nameOf({ arm, seed }: Pick<Cell, 'arm' | 'seed'>): string {
  return `${arm}, seed ${seed}`;
}

function fromOf(cell: Cell): Cell | null {
  return cell.kind === 'train' ? cell.from : null;
}

/** As plan.ts takes it. */
function dependent(cell: Cell) {
  return { cell, id: cell.id, arm: cell.arm, minutes: cell.minutes, from: fromOf(cell) };
}

function outcome({ training, seconds }: CellRecord): string {
  return training === null
    ? `done in ${duration(seconds)}`
    : `exact match ${training.exactMatch.toFixed(3)} after ${training.samples} samples, in ${duration(seconds)}`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
