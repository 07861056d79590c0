import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collate, collatePrompts, groupByLatents, type Row } from '../../src/data/batch.ts';

const PAD = 0;
const LATENT = 5;

/** A row of `before` words, latents, `after` words; words count up from 10, labels are on what comes after. */
function rowWith(before: number, latents: number, after: number): Row {
  const head = Array.from({ length: before }, (_, t) => 10 + t);
  const tail = Array.from({ length: after }, (_, t) => 50 + t);
  return {
    tokens: [...head, ...Array<number>(latents).fill(LATENT), ...tail],
    labels: [...Array<number>(before + latents).fill(-100), ...tail],
    latentStart: latents > 0 ? before : -1,
    latents,
  };
}

/** Column t of row b as rows of a table, one a batch row. */
function table(values: ArrayLike<number>, B: number): number[][] {
  return Array.from({ length: B }, (_, b) => Array.from(values).filter((_, i) => i % B === b));
}

const anyRow = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.nat(4), fc.integer({ min: 1, max: 5 }))
  .map(sizes => rowWith(...sizes));

describe('collate', () => {
  it('aligns the first latents, by hand', () => {
    const batch = collate([rowWith(2, 2, 1), rowWith(4, 1, 1), rowWith(3, 0, 5)], PAD);
    expect([batch.B, batch.T, batch.latentStart]).toEqual([3, 8, 4]);
    expect([...batch.first]).toEqual([2, 0, 0]);
    expect([...batch.latents]).toEqual([2, 1, 0]);
    expect(table(batch.ids, 3)).toEqual([
      [PAD, PAD, 10, 11, LATENT, LATENT, 50, PAD],
      [10, 11, 12, 13, LATENT, 50, PAD, PAD],
      [10, 11, 12, 50, 51, 52, 53, 54],
    ]);
    expect(table(batch.labels, 3)).toEqual([
      [-100, -100, -100, -100, -100, -100, 50, -100],
      [-100, -100, -100, -100, -100, 50, -100, -100],
      [-100, -100, -100, 50, 51, 52, 53, 54],
    ]);
    expect(table(batch.positions, 3)).toEqual([
      [0, 0, 0, 1, 2, 3, 4, 4],
      [0, 1, 2, 3, 4, 5, 5, 5],
      [0, 1, 2, 3, 4, 5, 6, 7],
    ]);
  });

  it('without latents pads on the right only, to a multiple if asked', () => {
    const batch = collate([rowWith(1, 0, 1), rowWith(3, 0, 2)], PAD, { multiple: 8 });
    expect([batch.T, batch.latentStart]).toEqual([8, 8]);
    expect([...batch.first]).toEqual([0, 0]);
    expect(table(batch.ids, 2)).toEqual([
      [10, 50, 0, 0, 0, 0, 0, 0],
      [10, 11, 12, 50, 51, 0, 0, 0],
    ]);
  });

  it('keeps every row, aligned, in the fewest columns', () => {
    fc.assert(
      fc.property(
        fc.array(anyRow, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        (rows, m) => {
          const batch = collate(rows, PAD, { multiple: m });
          const { B, T, latentStart } = batch;
          expect(B).toBe(rows.length);
          expect(T % m).toBe(0);
          const [ids, labels, positions] = [batch.ids, batch.labels, batch.positions].map(v => table(v, B));
          let used = 0;
          for (const [b, row] of rows.entries()) {
            const from = batch.first[b]!;
            const to = from + row.tokens.length;
            used = Math.max(used, to);
            expect(ids![b]!.slice(from, to)).toEqual(row.tokens);
            expect(labels![b]!.slice(from, to)).toEqual(row.labels);
            expect(positions![b]!.slice(from, to)).toEqual(row.tokens.map((_, t) => t));
            expect(positions![b]!.slice(0, from).every(position => position === 0)).toBe(true);
            // A model with as many positions as the row has tokens can take the padded row too.
            expect(Math.max(...positions![b]!)).toBe(row.tokens.length - 1);
            for (const t of [...Array(T).keys()].filter(column => column < from || column >= to)) {
              expect(ids![b]![t]).toBe(PAD);
              expect(labels![b]![t]).toBe(-100);
            }
            expect(batch.latents[b]).toBe(row.latents);
            if (row.latents > 0) expect(ids![b]!.indexOf(LATENT)).toBe(latentStart);
            else expect(from).toBe(0);
          }
          expect(T - used).toBeLessThan(m);
          const starts = rows.filter(row => row.latents > 0).map(row => row.latentStart);
          expect(latentStart).toBe(starts.length > 0 ? Math.max(...starts) : T);
        },
      ),
    );
  });

  it('refuses rows that contradict themselves', () => {
    expect(() => collate([], PAD)).toThrow(/at least one row/);
    expect(() => collate([{ ...rowWith(2, 1, 1), labels: [] }], PAD)).toThrow(/4 tokens and 0 labels/);
    expect(() => collate([{ ...rowWith(2, 1, 1), latents: 3 }], PAD)).toThrow(
      /3 latents from 2 in a row of 4/,
    );
    expect(() => collate([{ ...rowWith(2, 1, 1), latentStart: 0 }], PAD)).toThrow(/1 latents from 0/);
    expect(() => collate([{ ...rowWith(2, 0, 1), latentStart: 1 }], PAD)).toThrow(/0 latents from 1/);
  });
});

describe('collatePrompts', () => {
  it('ends all prompts in one column, latents aligned, by hand', () => {
    const batch = collatePrompts([rowWith(1, 2, 1), rowWith(3, 2, 1)], PAD);
    expect([batch.T, batch.latentStart, ...batch.first]).toEqual([6, 3, 2, 0]);
    expect(table(batch.ids, 2)).toEqual([
      [PAD, PAD, 10, LATENT, LATENT, 50],
      [10, 11, 12, LATENT, LATENT, 50],
    ]);
    expect(table(batch.positions, 2)).toEqual([
      [0, 0, 0, 1, 2, 3],
      [0, 1, 2, 3, 4, 5],
    ]);
  });

  it('ends prompts of any group in the last column', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }),
        fc.nat(3),
        (befores, latents) => {
          const prompts = befores.map(before => {
            const { labels, ...prompt } = rowWith(before, latents, 1);
            return prompt;
          });
          const batch = collatePrompts(prompts, PAD);
          for (const [b, ids] of table(batch.ids, batch.B).entries()) {
            expect(ids.slice(batch.first[b]!)).toEqual(prompts[b]!.tokens);
            expect(ids.indexOf(LATENT)).toBe(latents > 0 ? batch.latentStart : -1);
          }
          expect(batch.labels.every(label => label === -100)).toBe(true);
          if (latents === 0) expect(batch.latentStart).toBe(batch.T);
        },
      ),
    );
  });

  it('refuses prompts that are no group', () => {
    expect(() => collatePrompts([rowWith(2, 1, 1), rowWith(2, 2, 1)], PAD)).toThrow(/not aligned/);
    expect(() => collatePrompts([rowWith(2, 0, 1), rowWith(2, 1, 1)], PAD)).toThrow(/not aligned/);
    expect(() => collatePrompts([rowWith(2, 1, 1), rowWith(2, 1, 2)], PAD)).toThrow(/not aligned/);
    expect(() => collatePrompts([], PAD)).toThrow(/at least one prompt/);
  });
});

describe('groupByLatents', () => {
  it('loses nothing and keeps the order', () => {
    fc.assert(
      fc.property(fc.array(anyRow), rows => {
        const groups = groupByLatents(rows);
        for (const group of groups) {
          expect(group.rows).toEqual(group.indices.map(index => rows[index]));
          expect(group.rows.every(row => row.latents === group.latents)).toBe(true);
          expect(group.indices).toEqual(group.indices.toSorted((a, b) => a - b));
        }
        const counts = groups.map(group => group.latents);
        expect(counts).toEqual([...new Set(rows.map(row => row.latents))].sort((a, b) => a - b));
        expect(groups.flatMap(group => group.indices).sort((a, b) => a - b)).toEqual([...rows.keys()]);
      }),
    );
  });
});
