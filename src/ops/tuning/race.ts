// Which of several ways to compute the same thing is fastest, without spending more on the question than it is worth.
// Knows contestants by name, and a trial that checks and times them; knows no kernel and no device.
import { type Compiled, CompileTimes } from './compile-times.ts';

export interface Contestant extends Compiled {
  readonly name: string;
}

export interface Trial {
  /** In the order in which they are tried; the first is what runs where nothing is chosen. */
  readonly contestants: readonly Contestant[];
  /** Whether it computes the right thing. */
  passes(name: string): Promise<boolean>;
  /** Milliseconds that `calls` calls take together, compiling included at the first. */
  time(name: string, calls: number): Promise<number>;
}

/** How many milliseconds a run may win for each that a call takes. */
export interface Stake {
  /** By calls of this class. */
  readonly own: number;
  /** By calls of all classes that run kernels of the same text. */
  readonly shared: number;
}

/** Milliseconds a call, by name, of those that passed and were not far behind. */
export type Times = ReadonlyMap<string, number>;

/** A contestant is timed for so long at its entry and in each round; of short calls, no more than CALLS at once. */
const ENTRY_MS = 5;
const ROUND_MS = 20;
const CALLS = 256;
/** What a race costs without compiling: one for less is not run. */
const RACE_MS = 300;
/** A chosen kernel is compiled so many times more, with what follows the product: the run does that, after the race. */
export const COMPILED_AGAIN = 2;
/** A kernel's other variants stay away where its first takes so many times the best; after two such races, for good. */
const FAR = 3;
const FAR_RACES = 2;
/** Who takes more than these times the best is out, after the first round and after later ones. */
const FIRST_ROUND = 1.5;
const LATER_ROUNDS = 1.15;

/** The races of one tuning: what one teaches of kernels and compilers serves those after it. */
export class Races {
  readonly compileTimes = new CompileTimes();
  /** Names of contestants that computed something wrong. */
  readonly failed = new Set<string>();
  readonly #rounds: number;
  readonly #left: () => number;
  readonly #far = new Map<string, number>();

  /** `left` gives the milliseconds that may still be spent. */
  constructor(rounds: number, left: () => number) {
    this.#rounds = rounds;
    this.#left = left;
  }

  /** Undefined where the time ran out before all were tried that might win. */
  async run(trial: Trial, stake: Stake): Promise<Times | undefined> {
    const entered = await this.#enter(trial, stake);
    return entered && this.#rank(trial, entered);
  }

  /** Tries who may win, one after another; those that pass, with a first time. */
  async #enter(trial: Trial, stake: Stake): Promise<Map<Contestant, number> | undefined> {
    const first = trial.contestants[0]!;
    const entered = new Map<Contestant, number>();
    const tried = new Set([first.kernel]);
    const away = new Set([...this.#far].filter(([, races]) => races >= FAR_RACES).map(([kernel]) => kernel));
    for (const one of trial.contestants) {
      if (one !== first && away.has(one.kernel)) continue;
      const best = Math.min(...entered.values());
      const compiling = this.compileTimes.expected(one);
      if (one !== first && (1 + COMPILED_AGAIN) * compiling > best * stake.shared) continue;
      if (this.#left() <= (one === first ? 0 : compiling)) return undefined;
      const ms = await this.#warm(trial, one);
      // Who cannot win needs no check.
      if (one === first || ms <= FIRST_ROUND * best) {
        if (await trial.passes(one.name)) entered.set(one, ms);
        else this.failed.add(one.name);
      }
      if (one === first && entered.has(one) && ms * stake.own < RACE_MS) break;
      if (!tried.has(one.kernel) && ms > FAR * best) {
        away.add(one.kernel);
        this.#far.set(one.kernel, (this.#far.get(one.kernel) ?? 0) + 1);
      }
      tried.add(one.kernel);
    }
    return entered;
  }

  /** Compiles and times one: milliseconds a call. */
  async #warm(trial: Trial, one: Contestant): Promise<number> {
    const compiled = await trial.time(one.name, 1);
    const once = await trial.time(one.name, 1);
    this.compileTimes.note(one, Math.max(0, compiled - once));
    const calls = callsIn(ENTRY_MS, once);
    return calls === 1 ? once : (await trial.time(one.name, calls)) / calls;
  }

  /** Round after round, so that a disturbance meets all alike. */
  async #rank(trial: Trial, entered: ReadonlyMap<Contestant, number>): Promise<Times> {
    const first = trial.contestants[0]!;
    let times = new Map(entered);
    const keep = (factor: number): void => {
      const limit = factor * Math.min(...times.values());
      times = new Map([...times].filter(([one, ms]) => one === first || ms <= limit));
    };
    const samples = new Map([...times.keys()].map(one => [one, [] as number[]]));
    for (let round = 0; round < this.#rounds && times.size > 1; round++) {
      for (const one of times.keys()) {
        const calls = callsIn(ROUND_MS, entered.get(one)!);
        samples.get(one)!.push((await trial.time(one.name, calls)) / calls);
      }
      for (const one of times.keys()) times.set(one, median(samples.get(one)!));
      keep(round === 0 ? FIRST_ROUND : LATER_ROUNDS);
    }
    return new Map([...times].map(([{ name }, ms]) => [name, ms]));
  }
}

function callsIn(ms: number, one: number): number {
  return Math.min(CALLS, Math.max(1, Math.round(ms / one)));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
