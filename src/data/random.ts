// Seeded random numbers. Knows no task: a stream is a pure function of the numbers that name it, so that sample i
// of a run needs no state but i, and a resumed run draws what an uninterrupted one would have drawn.

/** A stream of random numbers. `float` has 53 random bits in [0, 1). */
export interface Random {
  /** 32 random bits. */
  bits(): number;
  /** Uniform in [0, 1), with 53 random bits. */
  float(): number;
  /** Uniform integer in [0, n). The bias of 53 bits over n is below n / 2^53. */
  int(n: number): number;
  /** Poisson with the given mean, meant for small ones (its time is proportional to the mean). */
  poisson(mean: number): number;
  /** Standard normal. */
  normal(): number;
  /** Shuffles in place (Fisher-Yates) and returns its argument. */
  shuffle<T>(items: T[]): T[];
  /** One item, uniformly; the list must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** An index, with probability proportional to its weight; the sum must be positive. */
  weighted(weights: readonly number[]): number;
}

/**
 * The stream named by `seed` and any number of indices, all safe integers. Different names give independent
 * streams: (0, 1) is neither (1, 0) nor (0, 1, 0).
 */
export function randomFor(seed: number, ...indices: number[]): Random {
  let hash = 0x9e3779b9 ^ indices.length;
  for (const word of [seed, ...indices]) {
    if (!Number.isSafeInteger(word)) throw new Error(`randomFor: ${word} is not a safe integer`);
    // Both halves of the 53 bits; the high half carries the sign.
    hash = mix(hash ^ mix(word >>> 0));
    hash = mix((hash + 0x7f4a7c15) ^ mix(Math.floor(word / 2 ** 32) | 0));
  }
  return stream(hash, mix(hash ^ 0x243f6a88), mix(hash ^ 0x85a308d3));
}

/** A seed for a purpose of its own, such as one split of the data: a safe integer of 53 bits, not negative. */
export function derivedSeed(seed: number, purpose: number): number {
  const random = randomFor(seed, 0x5eed, purpose);
  return (random.bits() & 0x1fffff) * 2 ** 32 + random.bits();
}

/** 32 bits that depend on every character of `text`. */
export function hashOf(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = mix(hash ^ text.charCodeAt(at)) + 0x7f4a7c15;
  return mix(hash) >>> 0;
}

/** MurmurHash3's 32-bit finaliser (Austin Appleby, public domain): every input bit reaches every output bit. */
function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * sfc32 (Chris Doty-Humphrey, PractRand, public domain): 96 bits of state and a counter that guarantees a period of
 * at least 2^32; passes PractRand and BigCrush. Chosen because it needs only 32-bit adds and shifts, which are fast
 * and exact in JavaScript, where 64-bit generators need BigInt.
 */
function stream(seed0: number, seed1: number, seed2: number): Random {
  let a = seed0 | 0;
  let b = seed1 | 0;
  let c = seed2 | 0;
  let counter = 1;

  const bits = (): number => {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + out;
    return out >>> 0;
  };
  // The author's start-up rounds, after which the three seed words are mixed through.
  for (let round = 0; round < 12; round++) bits();

  const float = (): number => ((bits() >>> 5) * 0x4000000 + (bits() >>> 6)) / 0x20000000000000;
  const int = (n: number): number => Math.floor(float() * n);

  return {
    bits,
    float,
    int,
    poisson(mean) {
      // Knuth: count the uniform factors whose product stays above e^-mean.
      const floor = Math.exp(-mean);
      let count = 0;
      for (let product = float(); product > floor; product *= float()) count++;
      return count;
    },
    normal() {
      // Box-Muller; 1 - u is never 0. The second value is thrown away: a cached one would be hidden state.
      const radius = Math.sqrt(-2 * Math.log(1 - float()));
      return radius * Math.cos(2 * Math.PI * float());
    },
    shuffle(items) {
      for (let i = items.length - 1; i > 0; i--) {
        const j = int(i + 1);
        [items[i], items[j]] = [items[j]!, items[i]!];
      }
      return items;
    },
    pick: items => items[int(items.length)]!,
    weighted(weights) {
      let rest = float() * weights.reduce((sum, weight) => sum + weight, 0);
      for (let i = 0; i < weights.length; i++) {
        rest -= weights[i]!;
        if (rest < 0) return i;
      }
      // Rounding can leave a hair above the last weight.
      return weights.findLastIndex(weight => weight > 0);
    },
  };
}
