import { describe, expect, it } from 'vitest';
import { pointerKey } from '../../src/data/pointer.ts';
import type { Sample } from '../../src/data/sample.ts';
import { generatedSource, holdOut, listSource, shuffledSource } from '../../src/data/source.ts';
import { UserError } from '../../src/errors.ts';

const list = (size: number): Sample[] =>
  Array.from({ length: size }, (_, i) => ({ question: `q${i}`, steps: [], answer: `${i}` }));
const pointer = (nodes: number, hops: number) => ({ nodes, hops: [hops, hops], maxEdges: null }) as const;

describe('generatedSource', () => {
  it('asks no question in two splits, however few there are', () => {
    for (const [nodes, hops, count] of [
      [4, 2, 300],
      [5, 2, 1000],
      [8, 3, 4000],
    ] as const) {
      const keys = (['train', 'valid', 'test'] as const).map(split => {
        const source = generatedSource('pointer', pointer(nodes, hops), 0, split);
        expect(source.size).toBe(null);
        return new Set(Array.from({ length: count }, (_, i) => pointerKey(source.at(i))));
      });
      for (const [a, set] of keys.entries()) {
        expect(set.size).toBeGreaterThan(0);
        for (const other of keys.slice(a + 1)) expect([...set].filter(key => other.has(key))).toEqual([]);
      }
    }
  });

  it('is a pure function of seed, split and index', () => {
    const source = (seed: number) => generatedSource('pointer', pointer(8, 3), seed, 'train');
    const forwards = [0, 1, 2, 3].map(i => source(1).at(i));
    const backwards = [3, 2, 1, 0].map(i => source(1).at(i)).reverse();
    expect(backwards).toEqual(forwards);
    expect(source(2).at(0)).not.toEqual(forwards[0]);
    expect(new Set(forwards.map(sample => sample.question)).size).toBe(4);
  });

  it('draws what does not fit again, and leaves all other samples as they are', () => {
    const all = generatedSource('pointer', pointer(6, 2), 4, 'train');
    const fits = ({ answer }: Sample): boolean => answer !== '3';
    const some = generatedSource('pointer', pointer(6, 2), 4, 'train', fits);
    const indices = Array.from({ length: 200 }, (_, i) => i);
    expect(indices.some(i => !fits(all.at(i)))).toBe(true);
    for (const i of indices) {
      expect(fits(some.at(i))).toBe(true);
      if (fits(all.at(i))) expect(some.at(i)).toEqual(all.at(i));
    }
  });

  it('says so where a task is too small to hold questions out, or impossible', () => {
    // Two questions for three splits.
    const faults = (['train', 'valid', 'test'] as const).flatMap(split => {
      try {
        generatedSource('pointer', pointer(2, 1), 0, split).at(0);
        return [];
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        return [(error as Error).message];
      }
    });
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults)
      expect(fault).toMatch(/too few questions to keep some for \w+: raise the nodes$/);
    expect(() => generatedSource('pointer', pointer(3, 3), 0, 'train')).toThrow(UserError);
  });
});

describe('lists', () => {
  it('listSource goes round in order', () => {
    const source = listSource(list(3));
    expect(source.size).toBe(3);
    expect([0, 1, 2, 3, 4].map(i => source.at(i).answer)).toEqual(['0', '1', '2', '0', '1']);
  });

  it('shuffledSource shows every sample once an epoch, in an order of its own', () => {
    const size = 40;
    const source = shuffledSource(list(size), 9);
    const epochs = [0, 1, 2].map(epoch =>
      Array.from({ length: size }, (_, i) => source.at(epoch * size + i).answer),
    );
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(size);
    expect(new Set(epochs.map(String)).size).toBe(3);
    // From anywhere, in any order: nothing but the index counts.
    const fresh = shuffledSource(list(size), 9);
    expect(fresh.at(2 * size + 5).answer).toBe(epochs[2]![5]);
    expect(fresh.at(3).answer).toBe(epochs[0]![3]);
    expect(Array.from({ length: size }, (_, i) => shuffledSource(list(size), 8).at(i).answer)).not.toEqual(
      epochs[0],
    );
  });

  it('holdOut splits without loss', () => {
    const samples = list(20);
    const { train, valid } = holdOut(samples, 5, 1);
    expect([train.length, valid.length]).toEqual([15, 5]);
    expect(new Set([...train, ...valid])).toEqual(new Set(samples));
    expect(holdOut(samples, 5, 1).valid).toEqual(valid);
    expect(holdOut(samples, 5, 2).valid).not.toEqual(valid);
  });
});
