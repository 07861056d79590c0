// From dispatches to sums: nothing is lost, nothing counted twice, and times that overlap are taken apart.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dispatch } from '../../src/gpu/profiler.ts';
import { apart, onWallClock } from '../../tools/profile/measure.ts';
import { type Frame, frameTree, idleMs, kernelSums, shapeOf, shortLabel } from '../../tools/profile/tree.ts';
import { dispatch, twoSteps } from './timeline.ts';

const name = fc.constantFrom('a', 'b', 'c');
/** Dispatches as a device may report them: in order of their recording, but overlapping and even backwards. */
const reported = fc.array(
  fc
    .record({
      label: fc.constantFrom('matmul', 'gelu', 'add'),
      inner: fc.array(name, { maxLength: 4 }),
      start: fc.double({ min: 0, max: 100, noNaN: true }),
      length: fc.double({ min: -1, max: 10, noNaN: true }),
      count: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ label, inner, start, length, count }) =>
      dispatch(label, ['step 1', ...inner], start, start + length, { params: { count }, flops: count }),
    ),
  { minLength: 1, maxLength: 30 },
);

const busy = (dispatches: readonly Dispatch[]): number =>
  dispatches.reduce((sum, { start, end }) => sum + end - start, 0);

describe('the clock', () => {
  it('has no overlaps and no negative times, and every moment of the device counts once', () => {
    fc.assert(
      fc.property(reported, dispatches => {
        const times = apart(dispatches);
        for (const [i, { start, end }] of times.entries()) {
          expect(end).toBeGreaterThanOrEqual(start);
          if (i > 0) expect(start).toBeGreaterThanOrEqual(times[i - 1]!.end);
        }
        const span = times.at(-1)!.end - times[0]!.start;
        expect(busy(times) + idleMs(times, 1)).toBeCloseTo(span, 9);
      }),
    );
  });

  it('leaves what does not overlap as it is', () => {
    expect(apart(twoSteps())).toEqual(twoSteps());
    expect(idleMs(twoSteps(), 2)).toBe(5);
  });

  it('ends when the queue was empty', () => {
    const moved = onWallClock(twoSteps(), 1130);
    expect(moved.at(-1)!.end).toBe(1130);
    expect(moved[0]!.start).toBe(1100);
    expect(onWallClock([], 5)).toEqual([]);
  });
});

describe('the tree of parts', () => {
  it('takes equal scopes together, in the order in which they first ran', () => {
    const tree = frameTree(twoSteps(), 2);
    const shown = (frame: Frame): unknown[] => [frame.name, frame.ms, frame.calls, frame.children.map(shown)];
    const leaf = (label: string, ms: number) => [label, ms, 1, []];
    const product = 'matmul-quad[ADD=false,BIAS=true,KU=4,unroll]';
    expect(shown(tree)).toEqual([
      ...['step', 10, 6],
      [
        [
          ...['forward', 5, 4],
          [
            ['embedding', 1, 1, [leaf('embedding[unroll]', 1)]],
            [
              ...['question', 4, 3],
              [
                [
                  ...['block 0', 2.5, 2],
                  [
                    ['linear', 2, 1, [leaf(product, 2)]],
                    ['gelu', 0.5, 1, [leaf('gelu', 0.5)]],
                  ],
                ],
                ['block 1', 1.5, 1, [['linear', 1.5, 1, [leaf(product, 1.5)]]]],
              ],
            ],
          ],
        ],
        [
          ...['backward', 4, 1],
          [['question', 4, 1, [['block 1', 4, 1, [['linear', 4, 1, [leaf(product, 4)]]]]]]],
        ],
        ['optimizer', 1, 1, [leaf('adamw', 1)]],
      ],
    ]);
  });

  it('has the whole at the root, and in each part what its children have', () => {
    fc.assert(
      fc.property(reported, fc.integer({ min: 1, max: 4 }), (dispatches, steps) => {
        const times = apart(dispatches);
        const tree = frameTree(times, steps);
        expect(tree.ms).toBeCloseTo(busy(times) / steps, 9);
        expect(tree.calls).toBe(times.length / steps);
        const check = (frame: Frame): void => {
          expect(frame.kernel).toBe(frame.children.length === 0);
          if (frame.kernel) return;
          for (const key of ['ms', 'calls', 'flops'] as const)
            expect(frame.children.reduce((sum, child) => sum + child[key], 0)).toBeCloseTo(frame[key], 9);
          frame.children.forEach(check);
        };
        check(tree);
      }),
    );
  });
});

describe('the sums by kernel', () => {
  it('are per step, the longest first, with the shapes of each', () => {
    const [first, ...others] = kernelSums(twoSteps(), 2);
    expect(first).toMatchObject({ ms: 7.5, calls: 3, flops: 12_000 });
    expect(first!.shapes).toEqual([
      { shape: 'M 16 N 4 K 2', ms: 4, calls: 1, flops: 4000 },
      { shape: 'M 8 N 4 K 2', ms: 3.5, calls: 2, flops: 8000 },
    ]);
    expect(others.map(({ label }) => label)).toEqual(['embedding[unroll]', 'adamw', 'gelu']);
  });

  it('come to the same as the tree', () => {
    fc.assert(
      fc.property(reported, dispatches => {
        const times = apart(dispatches);
        const sums = kernelSums(times, 3);
        const tree = frameTree(times, 3);
        for (const key of ['ms', 'calls', 'flops'] as const) {
          const all = sums.reduce((total, sum) => total + sum[key], 0);
          expect(all).toBeCloseTo(tree[key], 9);
          const ofShapes = sums.flatMap(({ shapes }) => shapes).reduce((total, sum) => total + sum[key], 0);
          expect(ofShapes).toBeCloseTo(tree[key], 9);
        }
      }),
    );
  });
});

describe('names', () => {
  it('of shapes are dimensions, else a count, else the grid', () => {
    const groups = [3, 2, 1] as const;
    expect(shapeOf({ groups, params: { M: 5, N: 6, K: 7, batch: 1, a0: 9, am: 1 } })).toBe('M 5 N 6 K 7');
    expect(shapeOf({ groups, params: { M: 5, N: 6, K: 7, batch: 8 } })).toBe('M 5 N 6 K 7 batch 8');
    expect(shapeOf({ groups, params: { t0: 0, t1: 19, B: 16, eps: 1 } })).toBe('t0 0 t1 19 B 16');
    expect(shapeOf({ groups, params: { count: 12, beta: 0 } })).toBe('count 12');
    expect(shapeOf({ groups, params: { size: 12, bits: 0 } })).toBe('count 12');
    expect(shapeOf({ groups, params: { eps: 1 } })).toBe('3×2×1 workgroups');
  });

  it('of variants leave out what is off or says nothing', () => {
    expect(shortLabel('matmul-quad[ADD=false,BIAS=true,KU=4,unroll]')).toBe('matmul-quad BIAS KU=4');
    expect(shortLabel('gelu[unroll]')).toBe('gelu');
    expect(shortLabel('gelu')).toBe('gelu');
  });
});
