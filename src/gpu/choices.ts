// Which variant of a kernel a device runs for a class of shapes, where somebody measured it. Knows names; knows no
// kernel and measures nothing itself (src/ops/tune.ts does).

/** A class of shapes that was asked for, and a shape of it to measure with. */
export interface Asked {
  readonly op: string;
  readonly shapeClass: string;
  readonly shape: unknown;
}

export class Choices {
  readonly #chosen = new Map<string, string>();
  readonly #asked = new Map<string, Asked>();

  /** The variant chosen for a class, or undefined where nothing was measured; remembers that it was asked for. */
  pick(op: string, shapeClass: string, shape: unknown): string | undefined {
    const key = `${op} ${shapeClass}`;
    const chosen = this.#chosen.get(key);
    if (chosen === undefined && !this.#asked.has(key)) this.#asked.set(key, { op, shapeClass, shape });
    return chosen;
  }

  choose(op: string, shapeClass: string, variant: string): void {
    const key = `${op} ${shapeClass}`;
    this.#chosen.set(key, variant);
    this.#asked.delete(key);
  }

  /** Classes that were asked for and have no choice yet. */
  get open(): readonly Asked[] {
    return [...this.#asked.values()];
  }

  /** All choices, `op class` to variant. */
  get chosen(): ReadonlyMap<string, string> {
    return this.#chosen;
  }
}
