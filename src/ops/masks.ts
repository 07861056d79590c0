// Which values dropout keeps: the generator of its masks on the CPU, and what the kernels need of it. A mask is a
// function of a row's key, a site of the model and an element, so that none is stored. Knows no op and no model.
import type { Gpu } from '../gpu/gpu.ts';
import { type Tensor, upload } from '../tensor.ts';

/** Dropout of a batch's rows. */
export interface Masks {
  /** Share of values that become 0, from 0 on and below 1; the others grow by 1 / (1 - rate). */
  readonly rate: number;
  /** u32 [sites, B, 2]: a key for each place of the model and row of the batch. */
  readonly keys: Tensor;
}

/** Masks at one place of the model. */
export interface SiteMasks extends Masks {
  readonly site: number;
}

/** Two words of 32 bits. */
export type Words = readonly [number, number];

/** Rotations of Threefry's rounds, for two words of 32 bits (table 4 of the paper). */
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const ROUNDS = 13;

/**
 * Threefry-2x32 of 13 rounds, which passes BigCrush: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as
 * easy as 1, 2, 3" (doi 10.1145/2063384.2063405). The kernels compute the same. `rounds` is for known answers.
 */
export function threefry(key: Words, counter: Words, rounds: number = ROUNDS): Words {
  const schedule = [key[0], key[1], 0x1bd11bda ^ key[0] ^ key[1]];
  let a = (counter[0] + key[0]) | 0;
  let b = (counter[1] + key[1]) | 0;
  for (let round = 0; round < rounds; round++) {
    const by = ROTATIONS[round % 8]!;
    a = (a + b) | 0;
    b = ((b << by) | (b >>> (32 - by))) ^ a;
    if (round % 4 < 3) continue;
    const turn = (round + 1) / 4;
    a = (a + schedule[turn % 3]!) | 0;
    b = (b + schedule[(turn + 1) % 3]! + turn) | 0;
  }
  return [a >>> 0, b >>> 0];
}

/** What names the rows of a batch: their numbers among those of an optimizer step, the step, and the run's seed. */
export interface MaskedRows {
  readonly seed: number;
  readonly step: number;
  readonly rows: readonly number[];
}

/** Keys of the rows at `sites` places, which the caller frees. All numbers are whole, from 0 on and below 2^32. */
export function maskKeys(gpu: Gpu, { seed, step, rows }: MaskedRows, sites: number): Tensor {
  const keys = new Uint32Array(sites * rows.length * 2);
  for (let site = 0; site < sites; site++)
    for (const [b, row] of rows.entries())
      keys.set(threefry([seed, step], [site, row]), 2 * (site * rows.length + b));
  return upload(gpu, keys, [sites, rows.length, 2]);
}

/** Values whose 32 random bits are below this are dropped. */
export function dropBound(rate: number): number {
  if (!(rate >= 0 && rate < 1)) throw new Error(`dropout: rate ${rate} is not from 0 on and below 1`);
  return Math.floor(rate * 2 ** 32);
}

/** Whether channel c of the column at `position`, counted from a row's first real one, is kept under its key. */
export function keepsChannel(key: Words, position: number, c: number, rate: number): boolean {
  return threefry(key, [position, c >>> 1])[c & 1]! >= dropBound(rate);
}

/** Whether the query at position `query` still weighs the key at position `key` in head h of H. */
export function keepsWeight(
  row: Words,
  { query, key, h, H }: { query: number; key: number; h: number; H: number },
  rate: number,
): boolean {
  return threefry(row, [query, key * H + h])[0] >= dropBound(rate);
}
