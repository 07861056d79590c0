// What compiling a kernel took, and what compiling another is likely to take: on one CPU-run adapter 0.1 to 0.7
// seconds, on another 0.5 to 10, so it must be known before it is spent. Knows sizes; knows no kernel and no clock.

/** Compilers take more than twice as long over twice the text: 0.5, 3.1 and 7.8 s for tiles of 128, 512 and 1,024. */
const EXPONENT = 1.25;

export interface Compiled {
  /** The shader file: variants of one are slow together. */
  readonly kernel: string;
  /** Values of a tile, by which compile times grow. */
  readonly size: number;
  /** Equal for variants that are compiled from the same text. */
  readonly text: string;
}

export class CompileTimes {
  readonly #seen = new Map<string, Compiled & { readonly ms: number }>();

  note({ kernel, size, text }: Compiled, ms: number): void {
    if (!this.#seen.has(text)) this.#seen.set(text, { kernel, size, text, ms });
  }

  /** What is still to be spent on it: nothing on a text that was compiled. */
  expected(one: Compiled): number {
    return this.#seen.has(one.text) ? 0 : this.likely(one);
  }

  /**
   * What it takes to compile it, or a text like it, by the times of the kernel's texts, else of any. The largest that
   * one of them suggests: a driver that keeps its results on disk makes the others look cheap.
   */
  likely({ kernel, size }: Compiled): number {
    const all = [...this.#seen.values()];
    const same = all.filter(one => one.kernel === kernel);
    const times = (same.length > 0 ? same : all).map(one => one.ms * (size / one.size) ** EXPONENT);
    return Math.max(0, ...times);
  }
}
