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
  readonly #chosen = new Map<string, string>();
  readonly #used = new Set<string>();
  readonly #asked = new Map<string, Asked>();

  /** The variant chosen for a class, or undefined where nothing was measured. */
  pick(op: string, shapeClass: string, shape: unknown): string | undefined {
    const key = choiceKey(op, shapeClass);
    const chosen = this.#chosen.get(key);
    if (chosen !== undefined) this.#used.add(key);
    else if (this.weight > 0) {
      const before = this.#asked.get(key) ?? { op, shapeClass, shape, uses: 0 };
      this.#asked.set(key, { ...before, uses: before.uses + this.weight });
    }
    return chosen;
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

  /** Drops choices that nothing has asked for yet: what asks for such a class later runs as if it had none. */
  dropUnused(): void {
    for (const key of this.#chosen.keys()) if (!this.#used.has(key)) this.#chosen.delete(key);
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
