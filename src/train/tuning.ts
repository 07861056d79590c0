// The tuner in a run: what is remembered from earlier runs, what is measured, what a checkpoint keeps of it. Knows the
// tuner and the form of its memory; where that is kept and who is told are given.
import { UserError } from '../errors.ts';
import type { Cache } from '../files.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { matmulSources } from '../ops/product.ts';
import { type TuneOptions, type TuneReport, tune } from '../ops/tuning/tune.ts';
import type { TrainOptions } from './option-table.ts';
import {
  FORGOTTEN,
  formatMemory,
  type Memory,
  memoryName,
  merge,
  type Origin,
  parseMemory,
  type Tuned,
} from './tuning-memory.ts';

export type TuneMode = TrainOptions['tune'];

/** The budgets leave room for what the run then compiles anew: 20 seconds and 2 minutes in all. */
const EFFORTS: Readonly<Record<Exclude<TuneMode, 'off'>, Omit<TuneOptions, 'stopping'>>> = {
  quick: { budgetMs: 15_000, steps: 1000, margin: 0.07, rounds: 3 },
  full: { budgetMs: 100_000, steps: 20_000, margin: 0.03, rounds: 9 },
};

export interface TuningOptions {
  readonly mode: TuneMode;
  readonly cache: Cache;
  readonly say: (line: string) => void;
  readonly stopping?: () => boolean;
  /** Another effort than the mode's, for tests. */
  readonly effort?: Partial<TuneOptions>;
}

export class Tuning {
  readonly #gpu: Gpu;
  readonly #options: TuningOptions;
  #counting = false;

  constructor(gpu: Gpu, options: TuningOptions) {
    this.#gpu = gpu;
    this.#options = options;
  }

  /** For the checkpoint: null where nothing was chosen. */
  get tuned(): Tuned | null {
    const { chosen } = this.#gpu.choices;
    return Object.keys(chosen).length === 0 ? null : { adapter: adapterName(this.#gpu), choices: chosen };
  }

  /** Takes over the choices of the run that goes on, so that it computes what it would have; on another adapter none. */
  pin(tuned: Tuned | null): void {
    if (tuned === null) return;
    const count = counted(Object.keys(tuned.choices).length, 'choice');
    if (tuned.adapter !== adapterName(this.#gpu)) {
      this.#options.say(
        `tuning: the ${count} of this run were measured on ${tuned.adapter}: the defaults run here`,
      );
      return;
    }
    this.#gpu.choices.pin(tuned.choices);
    this.#options.say(`tuning: ${count} from the checkpoint`);
  }

  /** While a rehearsal runs: its next dispatches are made so often in an average step. */
  weigh(timesAStep: number): void {
    this.#gpu.choices.weight = this.#counting ? timesAStep : 0;
  }

  /**
   * Rehearses, and before that takes what is remembered, and after it measures what is not; then rehearses again, so
   * that what was chosen is compiled. `rehearse` must dispatch what the run will, and weigh it. Without tuning it only
   * rehearses.
   */
  async prepare(rehearse: () => Promise<void>): Promise<void> {
    const { mode, say, stopping, effort } = this.#options;
    if (mode === 'off') return rehearse();
    const { choices } = this.#gpu;
    const origin = await originOf(this.#gpu);
    const memory = await this.#recall(origin);
    const before = choices.chosen;
    choices.offered = mode === 'full' ? memory.full : { ...memory.quick, ...memory.full };
    this.#counting = true;
    await rehearse();
    this.weigh(0);
    this.#counting = false;
    // What is asked for later has no choice, whether the run is resumed meanwhile or not.
    choices.offered = {};
    const remembered = Object.keys(choices.chosen).length - Object.keys(before).length;
    const report = await tune(this.#gpu, { ...EFFORTS[mode], ...effort, ...(stopping && { stopping }) });
    say(describe(mode, remembered, report));
    if (report.settled === 0) return;
    await this.#remember({ ...FORGOTTEN, [mode]: choices.chosen }, origin);
    // The memory in which products were measured is not the run's.
    this.#gpu.trim();
    await rehearse();
  }

  async #recall(origin: Origin): Promise<Memory> {
    try {
      return await this.#stored(origin);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#options.say(`tuning: ${error.message}; measured again`);
      return FORGOTTEN;
    }
  }

  /** Adds to what is there now, since another run may have written meanwhile; what is of no use is replaced. */
  async #remember(found: Memory, origin: Origin): Promise<void> {
    const { cache, say } = this.#options;
    const before = await this.#stored(origin).catch(() => FORGOTTEN);
    try {
      await cache.write(memoryName(origin.adapter), formatMemory(merge(before, found), origin));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      say(`tuning: the choices are not remembered: ${error.message}`);
    }
  }

  async #stored(origin: Origin): Promise<Memory> {
    const { cache } = this.#options;
    const name = memoryName(origin.adapter);
    const text = await cache.read(name);
    return text === undefined ? FORGOTTEN : parseMemory(text, origin, cache.place(name));
  }
}

/** One line: what was measured, how long it took, what came of it. */
export function describe(mode: TuneMode, remembered: number, report: TuneReport): string {
  const { open, settled, changes, failed, ms } = report;
  const all = counted(open + remembered, 'class', 'classes');
  if (open === 0) return `tuning ${mode}: ${all} of matrix products, all remembered`;
  const saved = changes.reduce((sum, { savedMs }) => sum + (Number.isFinite(savedMs) ? savedMs : 0), 0);
  return [
    `tuning ${mode}: ${all} of matrix products, ${remembered} remembered, ${settled} measured in ${(ms / 1000).toFixed(1)} s`,
    changes.length === 0
      ? 'no default changed'
      : `${counted(changes.length, 'default')} changed, about ${saved.toPrecision(2)} ms less a step`,
    ...(settled < open ? [`${open - settled} not reached`] : []),
    ...(failed.length > 0 ? [`wrong here and not used: ${failed.join(', ')}`] : []),
  ].join('; ');
}

function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

function adapterName({ info }: Gpu): string {
  return [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ');
}

async function originOf(gpu: Gpu): Promise<Origin> {
  const { kernels, forms } = matmulSources();
  const text = [forms, ...kernels.map(name => gpu.shader(name) ?? '')].join('\0');
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  const hex = [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('');
  return { adapter: adapterName(gpu), kernels: hex };
}
