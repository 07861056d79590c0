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

  /** What it took; 0 for a text that was never compiled. */
  of({ text }: Compiled): number {
    return this.#seen.get(text)?.ms ?? 0;
  }

  /**
   * What it will take: nothing again for a known text, else what the times of the same kernel's other texts say, or of
   * any. The largest, as a compiler that has its results on disk makes some of them look cheap.
   */
  expected({ kernel, size, text }: Compiled): number {
    if (this.#seen.has(text)) return 0;
    const all = [...this.#seen.values()];
    const same = all.filter(one => one.kernel === kernel);
    const times = (same.length > 0 ? same : all).map(one => one.ms * (size / one.size) ** EXPONENT);
    return Math.max(0, ...times);
  }
}
