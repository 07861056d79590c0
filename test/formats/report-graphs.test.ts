// The report's drawings of searches: where nodes lie, and that every node and edge is there.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pointerSample } from '../../src/data/pointer.ts';
import { prosqaSample } from '../../src/data/prosqa.ts';
import { prosqaMiniSample } from '../../src/data/prosqa-mini.ts';
import { searchOf } from '../../src/eval/search.ts';
import { searchGraphs } from '../../src/train/report/graphs.ts';
import { layoutOf } from '../../src/train/report/layout.ts';

const room = { width: 34, height: 46 };

describe('the drawing of a search', () => {
  it.each([
    ['prosqa-mini', prosqaMiniSample],
    ['prosqa', prosqaSample],
  ] as const)('has %s nodes of one distance in one row, and none on another', (_, sampleOf) => {
    fc.assert(
      fc.property(fc.nat(1e6), seed => {
        const search = searchOf(sampleOf(seed, 0))!;
        const { points, width, height, form } = layoutOf(search, room);
        expect(form).toBe('rows');
        for (const [a, p] of points.entries()) {
          expect(p.x).toBeGreaterThanOrEqual(0);
          expect(p.x).toBeLessThanOrEqual(width);
          expect(p.y).toBeLessThan(height);
          if (search.fromRoot[a]! < Number.POSITIVE_INFINITY)
            expect(p.y).toBeCloseTo(room.height * (search.fromRoot[a]! + 0.4), 9);
          for (const q of points.slice(a + 1))
            if (Math.abs(p.y - q.y) < 1) expect(Math.abs(p.x - q.x)).toBeGreaterThan(room.width - 1e-6);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('has a pointer question as a circle, the start on top', () => {
    const search = searchOf(pointerSample(1, 2))!;
    const { points, form, width } = layoutOf(search, room);
    expect(form).toBe('circle');
    expect(points[search.root]!.x).toBeCloseTo(width / 2, 9);
    expect(Math.min(...points.map(({ y }) => y))).toBe(points[search.root]!.y);
  });

  it('names every node, marks root, target and wrong candidate, and writes values out', () => {
    const sample = prosqaMiniSample(4, 1);
    const search = searchOf(sample)!;
    const values = search.names.map((_, node) => (node === search.target ? 0.93 : 0.005));
    const html = searchGraphs({
      sample,
      after: [0, 1].map(thoughts => ({ thoughts, asks: 'step', values })),
    });
    const count = (pattern: RegExp): number => html.match(pattern)?.length ?? 0;
    expect(count(/<circle /g)).toBe(2 * search.names.length);
    for (const role of ['root', 'target', 'distractor'])
      expect(count(new RegExp(`class="node ${role}"`, 'g')), role).toBe(2);
    expect(count(/class="value"[^>]*>\.93</g)).toBe(2);
    expect(count(/class="value"/g)).toBe(2);
    // A shaft and a head an edge.
    expect(count(/M/g)).toBe(2 * 2 * search.edges.length);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
  });
});
