// The page and its plots: the same bytes from the same results, tables that hold every figure, and drawings that a real
// browser reads, light and dark, with no text cut off or over another.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { type Cell, cellsOf, withPrerequisites } from '../../tools/experiment/cell.ts';
import type { BarPlot, Done, Experiment, LinePlot } from '../../tools/experiment/experiment.ts';
import {
  against,
  bestValidation,
  curves,
  exactMatch,
  memory,
  samplesTo,
  summaryOf,
} from '../../tools/experiment/figures.ts';
import { pageOf } from '../../tools/experiment/page.ts';
import { plotOf } from '../../tools/experiment/plots.ts';
import type { CellRecord } from '../../tools/experiment/record.ts';
import { ticks } from '../../tools/experiment/svg.ts';
import { openBrowser } from '../web/site.ts';
import { record } from './record.ts';
import tiny from './tiny.ts';

const cells = withPrerequisites(cellsOf(tiny, 3));
const accuracies = [0.5, 0.75, 1];
const filled = (cell: Cell): CellRecord => record(cell, { exactMatch: accuracies[cell.seed]! });
const results = (records: readonly CellRecord[]) => ({
  experiment: 'tiny',
  question: tiny.question,
  records,
});
const full = results(cells.map(filled));

describe('the page', () => {
  const { text, plots } = pageOf(tiny, full, cells);

  it('is the same from the same results, in whatever order they were written', () => {
    expect(pageOf(tiny, results([...full.records].reverse()), cells)).toEqual({ text, plots });
  });

  it('says the question, the origin, mean and range of each arm, and every seed', () => {
    expect(text).toContain('**Does an experiment run?**');
    expect(text).toContain(
      'on software (test), 2026-11-24, commit 0123456789: 12 of 12 cells, 12:00 in all.',
    );
    expect(text).toContain('| arm | seeds | exact match | samples to 0.5 | peak memory |');
    expect(text).toContain('| window 1 | 3 | 0.750 (0.500–1.000) | 320 | 1.00 MiB |');
    for (const [i, cell] of cells.entries())
      expect(text).toContain(
        `| ${cell.arm} | ${cell.seed} | ${accuracies[cell.seed]!.toFixed(3)} | 320 | 1.00 MiB | 1:00 | \`${cells[i]!.id}\` |`,
      );
    for (const { commands } of full.records) for (const command of commands) expect(text).toContain(command);
  });

  it('shows the plots that it has', () => {
    expect([...plots.keys()]).toEqual(['tiny-memory.svg', 'tiny-window.svg', 'tiny-curves.svg']);
    for (const file of plots.keys()) expect(text).toContain(`](${file})`);
  });

  it('leaves out what is not there yet', () => {
    const some = full.records.filter(({ arm, seed }) => arm === 'window 2' && seed < 2);
    const page = pageOf(tiny, results(some), cells);
    expect(page.text).toContain('| window 2 | 2 | 0.625 (0.500–0.750) |');
    expect(page.text).not.toContain('| window 1 |');
    expect(pageOf(tiny, results([]), cells)).toMatchObject({ plots: new Map() });
    expect(pageOf(tiny, results([]), cells).text).toContain('No cell is done yet.');
  });

  it('leaves out records that are no cell of the matrix any more', () => {
    const stale = full.records.map(one => ({ ...one, id: 'stale' }));
    expect(pageOf(tiny, results(stale), cells)).toEqual(pageOf(tiny, results([]), cells));
  });
});

test('a figure of some seeds only says of how many', () => {
  const [a, b, c] = cells.filter(({ arm }) => arm === 'window 1');
  const never = record(c!, { curve: [[160, 1, 0.25]] });
  const late = record(b!, { curve: [[480, 1, 0.5]] });
  // In an earlier stage it does not count.
  const early = record(a!, {
    curve: [
      [160, 0, 1],
      [320, 1, 0.5],
    ],
  });
  expect(summaryOf(samplesTo(0.5), [early, late, never])).toBe('400 (320–480), 2 of 3');
  expect(summaryOf(samplesTo(0.5), [never])).toBe('–');
  expect(summaryOf(exactMatch, [early])).toBe('0.500');
  const unlearnt = record(b!, {
    curve: [
      [160, 0, 1],
      [320, 1, 0.875],
      [480, 1, 0.125],
    ],
  });
  const waiting = record(c!, { curve: [[160, 0, 1]] });
  expect(summaryOf(bestValidation, [early, unlearnt, waiting])).toBe('0.688 (0.500–0.875), 2 of 3');
});

test('ticks are round, hold all values, and are a handful', () => {
  expect(ticks(0, 1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(-0.15, 0.9)).toEqual([-0.5, 0, 0.5, 1]);
  expect(ticks(0, 24_000)).toEqual([0, 5000, 10_000, 15_000, 20_000, 25_000]);
  expect(ticks(0, 0)).toEqual([0]);
  for (const most of [1e-3, 0.07, 3, 17, 999, 123_456]) {
    const marks = ticks(0, most);
    expect(marks.at(-1)).toBeGreaterThanOrEqual(most * 0.999999);
    expect(marks.length).toBeLessThanOrEqual(8);
  }
});

// Drawings, in a browser: long names, many lines, an arm that never arrives, negative values.

const names = ['a', 'no-curriculum', 'graph: coconut, with a name that goes on & on <further>', 'x'];
const many: Experiment = {
  ...tiny,
  arms: names.map((name, i) => ({
    ...tiny.arms[2]!,
    name,
    factors: { window: i === 3 ? 'full' : i + 1, n: 4 ** i },
  })),
};
const done: Done[] = many.arms.map((arm, i) => ({
  arm,
  records: cellsOf(many, 3)
    .filter(cell => cell.arm === arm.name)
    .map(cell =>
      record(cell, {
        exactMatch: i === 1 ? 0 : (cell.seed + i) / 6,
        peakBytes: 1e6 * (1 + i + cell.seed),
        curve:
          i === 1
            ? []
            : [
                [16, 0, 0.1 * cell.seed],
                [24_000, 1, 0.3 * cell.seed],
              ],
      }),
    ),
}));
const line = { kind: 'lines', name: 'p', title: 'A plot', x: 'across', y: 'up', show: String } as const;
const PLOTS: readonly (BarPlot | LinePlot)[] = [
  { kind: 'bars', name: 'p', title: 'Bars of accuracy', figure: exactMatch },
  { kind: 'bars', name: 'p', title: 'Bars of memory', figure: memory },
  { kind: 'bars', name: 'p', title: 'Bars of what some never reach', figure: samplesTo(0.5) },
  { ...line, top: 1, lines: all => curves(all) },
  { ...line, lines: all => against(all, exactMatch, 'window') },
  { ...line, lines: all => against(all, memory, 'n', 'window') },
  {
    ...line,
    lines: () => [
      { name: 'down', points: [-0.4, 0.2, 0.9].map((y, i) => ({ x: i, y, seeds: [y - 0.1, y + 0.1] })) },
    ],
  },
];

describe('plots', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser({ webgpu: false });
  });
  afterAll(() => browser.close());

  it.each(PLOTS.map((plot, i) => [`${i}: ${plot.title}`, plot] as const))('%s', async (_, plot) => {
    const svg = plotOf(plot, done)!;
    expect(plotOf(plot, done)).toBe(svg);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    const page = await browser.newPage();
    const seen: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.goto(`data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`);
      const {
        root,
        boxes,
        page: paper,
        ink,
      } = await page.evaluate(() => {
        const svg = document.documentElement as unknown as SVGSVGElement;
        const texts = [...svg.querySelectorAll('text')];
        return {
          root: svg.tagName,
          boxes: texts.map(text => {
            const { x, y, width, height } = text.getBBox();
            return { text: text.textContent!, x, y, right: x + width, bottom: y + height };
          }),
          page: getComputedStyle(svg.querySelector('rect')!).fill,
          ink: getComputedStyle(svg.querySelector('.title')!).fill,
        };
      });
      // A file with a fault in it opens as another document.
      expect(root).toBe('svg');
      expect(boxes.length).toBeGreaterThan(4);
      const [, , width, height] = /viewBox="(\S+) (\S+) (\S+) (\S+)"/.exec(svg)!.slice(1).map(Number) as [
        number,
        number,
        number,
        number,
      ];
      for (const box of boxes) {
        expect(box.x, box.text).toBeGreaterThanOrEqual(0);
        expect(box.right, box.text).toBeLessThanOrEqual(width);
        expect(box.bottom, box.text).toBeLessThanOrEqual(height);
      }
      for (const [i, a] of boxes.entries())
        for (const b of boxes.slice(i + 1))
          expect(
            a.right <= b.x || b.right <= a.x || a.bottom <= b.y + 2 || b.bottom <= a.y + 2,
            `"${a.text}" lies over "${b.text}"`,
          ).toBe(true);
      expect(paper).not.toBe(ink);
      seen.push(paper);
    }
    expect(seen[0]).not.toBe(seen[1]);
    await page.close();
  });

  it('are left out where no cell has what they show', () => {
    const nothing = done.map(({ arm }) => ({ arm, records: [] }));
    for (const plot of PLOTS.slice(0, 6)) expect(plotOf(plot, nothing)).toBeUndefined();
  });

  it('draw a bar as long as its mean, and a dot at each seed', () => {
    const svg = plotOf(PLOTS[0]!, done.slice(3))!;
    const bar = /<rect class="f0" x="(\S+)" y="\S+" width="(\S+)"/.exec(svg)!.slice(1).map(Number);
    const dots = [...svg.matchAll(/<circle class="seed l0" cx="(\S+)"/g)].map(match => Number(match[1]));
    const [x, width] = bar as [number, number];
    // Seeds at 3/6, 4/6 and 5/6, the mean at 4/6.
    expect(dots.map(at => (at - x) / width)).toEqual([0.75, 1, 1.25].map(share => expect.closeTo(share, 2)));
  });
});
