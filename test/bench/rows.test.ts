// What a row of the bench says of a timing: rates, the ceiling that binds, the change against another run.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { floorOf } from '../../bench/floors.ts';
import { quantile } from '../../bench/measure.ts';
import {
  type BenchRow,
  change,
  markdownTable,
  rowKey,
  rowOf,
  tableHead,
  tableRow,
} from '../../bench/rows.ts';
import type { Subject } from '../../bench/subject.ts';
import { CACHED_BYTES, type Ceilings } from '../../src/train/ceiling.ts';

/** 1 GFLOP/s, 1 and 4 GB/s, 10 µs a dispatch. */
const CEILINGS: Ceilings = { fma: 1e9, stream: 1e9, cached: 4e9, dispatch: 1e-5 };

const launch = { kernel: 'gelu', key: 'gelu 1', chosen: false };

const SUBJECT: Subject = {
  pass: 'forward',
  work: { flops: 2e6, bytes: 1e6 },
  launches: [launch, launch],
  variant: 'gelu',
  call() {},
};

const timing = { ms: 4, wallMs: 5, spread: 0.5 };
const row = rowOf('gelu', { shape: 'M=1', form: '' }, SUBJECT, timing, CEILINGS);

describe('floors', () => {
  it('are set by the ceiling that asks for the longest time', () => {
    expect(floorOf({ flops: 2e6, bytes: 1e6 }, 1, CEILINGS)).toEqual({ bound: 'fma', ms: 2 });
    expect(floorOf({ flops: 2e6, bytes: 3e6 }, 1, CEILINGS)).toEqual({ bound: 'stream', ms: 3 });
    expect(floorOf({ flops: 0, bytes: CACHED_BYTES }, 1, CEILINGS).bound).toBe('cached');
    expect(floorOf({ flops: 0, bytes: CACHED_BYTES + 4 }, 1, CEILINGS).bound).toBe('stream');
    expect(floorOf({ flops: 1, bytes: 4 }, 4, CEILINGS)).toEqual({ bound: 'dispatch', ms: 0.04 });
  });

  it('are never below what a single ceiling asks for', () => {
    const amount = fc.nat({ max: 1e9 });
    fc.assert(
      fc.property(amount, amount, fc.integer({ min: 1, max: 100 }), (flops, bytes, dispatches) => {
        const { ms } = floorOf({ flops, bytes }, dispatches, CEILINGS);
        expect(ms).toBeGreaterThanOrEqual((1000 * flops) / CEILINGS.fma);
        expect(ms).toBeGreaterThanOrEqual((1000 * bytes) / Math.max(CEILINGS.stream, CEILINGS.cached));
        expect(ms).toBeGreaterThanOrEqual(1000 * dispatches * CEILINGS.dispatch);
      }),
    );
  });
});

it('a row holds rates by the device clock and its share of the ceiling that binds', () => {
  expect(row).toEqual({
    op: 'gelu',
    pass: 'forward',
    shape: 'M=1',
    form: '',
    variant: 'gelu',
    ...timing,
    dispatches: 2,
    gflops: 0.5,
    gbs: 0.25,
    ceilingShare: 0.5,
    bound: 'fma',
  } satisfies BenchRow);
});

it('the columns of head and rows agree', () => {
  const at = (line: string, word: string): number => line.indexOf(word);
  expect(at(tableRow(row), 'forward')).toBe(at(tableHead(), 'pass'));
  expect(at(tableRow(row), 'fma')).toBe(at(tableHead(), 'bound'));
  expect(at(tableRow(row), '4.00') + 4).toBe(at(tableHead(), 'ms') + 2);
  const [head, line, ...rows] = markdownTable([row, row]).split('\n');
  for (const text of [line!, ...rows]) expect(text.split('|')).toHaveLength(head!.split('|').length);
  expect(rows[0]).toBe('| gelu | forward | M=1 | gelu | 4.00 | 0.50 | 5.00 | 0.50 | 0.25 | 50.0% | fma |');
});

it('a change is of the time, and of the same work in whatever variant', () => {
  expect(change({ ...row, ms: 5 }, row)).toBe('+25.0%');
  expect(change({ ...row, ms: 3 }, row)).toBe('-25.0%');
  expect(rowKey({ ...row, variant: 'other', ms: 1 })).toBe(rowKey(row));
  expect(rowKey({ ...row, pass: 'backward' })).not.toBe(rowKey(row));
});

it('quantiles lie between neighbours', () => {
  expect(quantile([3], 0.25)).toBe(3);
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([5, 1, 3], 0.25)).toBe(2);
  const values = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
      const value = quantile(list, q);
      const below = list.filter(x => x <= value).length;
      expect(value).toBeGreaterThanOrEqual(Math.min(...list));
      expect(value).toBeLessThanOrEqual(Math.max(...list));
      expect(below).toBeGreaterThanOrEqual(Math.floor(q * (list.length - 1)));
    }),
  );
});
