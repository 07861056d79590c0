// Which variant of a kernel a device runs for a class of shapes, where somebody measured it, and which classes are
// asked for. Knows names; knows no kernel and measures nothing itself (src/ops/tuning/ does).

/** A class of shapes that was asked for, a shape of it to measure with, and how often it was asked for. */
export interface Asked {
  readonly op: string;
  readonly shapeClass: string;
  readonly shape: unknown;
  /** Sum of the weights with which it was asked for. */
  readonly uses: number;
}

export class Choices {
  /** What one use counts from now on. With 0, as at first, classes without a choice are not remembered. */
  weight = 0;
  /** Choices by key to take over as their classes are asked for: those of another run, of which this one needs a few. */
  offered: Readonly<Record<string, string>> = {};
  readonly #chosen = new Map<string, string>();
  readonly #asked = new Map<string, Asked>();

  /** The variant chosen for a class, or undefined where nothing was measured. */
  pick(op: string, shapeClass: string, shape: unknown): string | undefined {
    const key = choiceKey(op, shapeClass);
    const chosen = this.#chosen.get(key);
    if (chosen !== undefined) return chosen;
    const offered = Object.hasOwn(this.offered, key) ? this.offered[key] : undefined;
    if (offered !== undefined) this.#chosen.set(key, offered);
    else if (this.weight > 0) {
      const before = this.#asked.get(key) ?? { op, shapeClass, shape, uses: 0 };
      this.#asked.set(key, { ...before, uses: before.uses + this.weight });
    }
    return offered;
  }

  choose(op: string, shapeClass: string, variant: string): void {
    this.pin({ [choiceKey(op, shapeClass)]: variant });
  }

  /** Takes over choices in the form in which `chosen` gives them. */
  pin(choices: Readonly<Record<string, string>>): void {
    for (const [key, variant] of Object.entries(choices)) {
      this.#chosen.set(key, variant);
      this.#asked.delete(key);
    }
  }

  /** Classes that were asked for and have no choice yet. */
  get open(): readonly Asked[] {
    return [...this.#asked.values()];
  }

  /** All choices by `choiceKey`, in order of key. */
  get chosen(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#chosen].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

export function choiceKey(op: string, shapeClass: string): string {
  return `${op} ${shapeClass}`;
}
