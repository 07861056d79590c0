// The latents bench: that what it compares is comparable, its arithmetic, and a small run as a user has it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measureGeneration } from '../../bench/latents/generation.ts';
import { DEEP, measureRecompute } from '../../bench/latents/recompute.ts';
import {
  MOST_LATENTS,
  pairedPrompts,
  pairedRows,
  rowsWith,
  SIZES,
  type Size,
  sizeWith,
} from '../../bench/latents/rows.ts';
import { measureScaling } from '../../bench/latents/scaling.ts';
import { fitLine, spreadOf } from '../../bench/latents/spread.ts';
import { ratios, takeTurns } from '../../bench/latents/steady.ts';
import { type Figures, markdown } from '../../bench/latents/tables.ts';
import { UNLABELLED } from '../../src/data/batch.ts';
import { testGpu } from '../device.ts';
import { run, scratch, succeed } from '../e2e/child.ts';

const SMALL: Size = { ...SIZES.pointer, width: 16, layers: 2, heads: 2 };
const TWICE = { least: 2, most: 2, seconds: 0 };
const BENCH = 'bench/latents.ts';
const folder = scratch();

describe('rows of any number of thoughts', () => {
  it('have questions of one length, and a thought for each hop', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MOST_LATENTS }), n => {
        const size = sizeWith(n);
        const { latents, written, tokenizer } = pairedRows(size, 2, n);
        for (const [i, row] of latents.entries()) {
          expect(row).toMatchObject({ latents: n, latentStart: sizeWith(1).question + 1 });
          expect(row.tokens).toHaveLength(written[i]!.tokens.length);
          expect(tokenizer.size).toBe(pairedRows(sizeWith(1), 1, 1).tokenizer.size);
        }
      }),
    );
  });

  it('are the same rows twice where there is none', () => {
    const { latents, written } = pairedRows(sizeWith(0), 3, 0);
    expect(latents).toEqual(written);
    expect(latents[0]!.latents).toBe(0);
  });
});

describe.each(Object.values(SIZES))('rows of size $name', size => {
  const n = 6;
  const count = 4;
  const { latents, written, tokenizer } = pairedRows(size, count);

  it('differ only in the columns of the thoughts, and in the end marker that moves with them', () => {
    for (const [i, thinking] of latents.entries()) {
      const text = written[i]!;
      expect(thinking).toMatchObject({ latents: n, latentStart: size.question + 1 });
      expect(text).toMatchObject({ latents: 0, latentStart: -1 });
      expect(thinking.tokens).toHaveLength(text.tokens.length);
      const head = [...text.tokens.slice(0, size.question), tokenizer.startLatent];
      const answer = text.tokens.slice(-3);
      const thoughts = Array(n).fill(tokenizer.latent);
      expect(thinking.tokens).toEqual([...head, ...thoughts, tokenizer.endLatent, ...answer]);
      const steps = text.tokens.slice(head.length + 1, -3);
      expect(text.tokens).toEqual([...head, tokenizer.endLatent, ...steps, ...answer]);
      expect(steps).toHaveLength(n);
      // The last step is the answer.
      expect(steps.at(-1)).toBe(answer[1]);
    }
  });

  it('have the answer labelled, and the written ones their steps too', () => {
    const labelled = (labels: readonly number[]) => labels.filter(label => label !== UNLABELLED);
    for (const [i, { labels }] of latents.entries()) {
      expect(labelled(labels)).toEqual(labels.slice(-3));
      expect(labelled(written[i]!.labels)).toEqual(written[i]!.labels.slice(-3 - n));
      expect(written[i]!.labels.slice(-3)).toEqual(labels.slice(-3));
    }
  });

  it('have prompts that leave out the answer', () => {
    const prompts = pairedPrompts(size, count);
    for (let i = 0; i < count; i++) {
      expect(prompts.latents[i]!.tokens).toEqual(latents[i]!.tokens.slice(0, -3));
      expect(prompts.read[i]!.tokens).toEqual(written[i]!.tokens.slice(0, -3));
      expect(prompts.asked[i]!.tokens).toEqual(written[i]!.tokens.slice(0, -3 - n));
    }
  });
});

it('rows for scaling grow by their latents only', () => {
  const lengths = [1, 5, 9].map(n => {
    const [row] = rowsWith(SMALL, n, 1);
    expect(row!.latents).toBe(n);
    return row!.tokens.length - n;
  });
  expect(new Set(lengths).size).toBe(1);
});

describe('statistics', () => {
  it('a line through points on it is that line, and none lies above', () => {
    const value = fc.integer({ min: 1, max: 1000 });
    fc.assert(
      fc.property(value, value, fc.uniqueArray(value, { minLength: 2, maxLength: 8 }), (at0, slope, xs) => {
        const line = fitLine(xs.map(x => [x, at0 + slope * x]));
        expect(line.slope).toBeCloseTo(slope, 6);
        expect(line.at0).toBeCloseTo(at0, 3);
        expect(line.worst.share).toBeLessThan(1e-9);
      }),
    );
  });

  it('names the point that is furthest above, as a share of the line', () => {
    // The line through 10, 10, 13, 10 at x = -3, -1, 1, 3 is 10.75 + 0.15 x.
    const points = [10, 10, 13, 10].map((y, i): [number, number] => [2 * i - 3, y]);
    const { at0, slope, worst } = fitLine(points);
    expect([at0, slope, worst.x]).toEqual([10.75, expect.closeTo(0.15, 12), 1]);
    expect(worst.share).toBeCloseTo(13 / 10.9 - 1, 12);
  });

  it('takes ratios round by round, so that a slow round does not count', () => {
    expect(ratios([2, 20, 2], [1, 10, 1])).toEqual({ median: 2, low: 2, high: 2 });
    expect(spreadOf([4, 1, 3, 2, 5])).toEqual({ median: 3, low: 2, high: 4 });
  });
});

describe('on a device', async () => {
  const gpu = await testGpu({ poison: false });

  it('arms take turns, in an order that turns round', async () => {
    const order: string[] = [];
    const arm = (name: string) => ({ step: () => void order.push(name) });
    const times = await takeTurns(gpu, [arm('a'), arm('b')], 2, TWICE);
    expect(order.join('')).toBe('ab' + 'aaabbb' + 'bbbaaa');
    for (const { ms, recordingMs } of times) {
      expect([ms.length, recordingMs.length]).toEqual([2, 2]);
      for (const value of [...ms, ...recordingMs]) expect(value).toBeGreaterThanOrEqual(0);
    }
  });

  it('with a window, memory grows by what a column needs and no more', async () => {
    const counts = [2, 3, 4, 6, 9];
    const { curves, columnBytes, columns } = await measureScaling(gpu, SMALL, 32, TWICE, counts);
    expect(columns).toBe(SMALL.question + 5); // Two markers, ###, answer, eos.
    const [full, window] = curves as [(typeof curves)[0], (typeof curves)[0]];
    expect([full.window, window.window]).toEqual(['full', 2]);
    expect(full.points.map(({ n }) => n)).toEqual(counts);
    expect(window.memory.slope).toBeLessThan(1.2 * columnBytes);
    expect(full.memory.slope).toBeGreaterThan(3 * columnBytes);
  });

  it('recomputed blocks of twelve layers need at most 35 % of the memory', async () => {
    const live = gpu.pool.memory.live;
    const size = { ...DEEP, width: 32, heads: 2 };
    for (const { keptBytes, recomputedBytes, n, ratio } of await measureRecompute(gpu, 4, TWICE, size)) {
      expect(recomputedBytes / keptBytes, `${n} latents`).toBeLessThanOrEqual(0.35);
      expect(ratio.median).toBeGreaterThan(0);
    }
    expect(gpu.pool.memory.live).toBe(live);
  });

  it('generation runs as many columns as it says, and leaves nothing behind', async () => {
    const live = gpu.pool.memory.live;
    const { latents, written, read, n } = await measureGeneration(gpu, SMALL, 2, TWICE, [1, 3]);
    expect([n, latents.columns, written.columns, read.columns]).toEqual([6, 9, 9, 3]);
    expect([latents.tokens, written.tokens, read.tokens]).toEqual([3, 3, 3]);
    expect(latents.ms.median).toBeGreaterThan(0);
    expect(gpu.pool.memory.live).toBe(live);
  });
});

it('runs small, shows and writes its figures, and keeps no results', async () => {
  const json = join(folder, 'latents.json');
  const printed = await succeed(BENCH, ['--quick', '--only', 'tax', '--json', json]);
  const { adapter, source, ...figures } = JSON.parse(readFileSync(json, 'utf8')) as Figures & {
    adapter: string;
    source: string;
  };
  expect(Object.keys(figures)).toEqual(['tax']);
  expect(figures.tax!.map(({ size }) => size)).toEqual(Object.keys(SIZES));
  for (const { latents, written, B, ratio } of figures.tax!) {
    expect([latents.labels / B, written.labels / B]).toEqual([3, 9]);
    // Every column once, whatever the number of passes: the products differ in the head alone.
    expect(latents.flops / written.flops).toBeCloseTo(1, 1);
    expect(latents.dispatches).toBeGreaterThan(written.dispatches);
    expect(ratio.median).toBeGreaterThan(0);
  }
  expect(printed).toContain(adapter);
  expect(printed).toContain(markdown(figures));
  expect(source).toContain('commit');
  expect(printed).not.toContain('written to');
});

describe('bad input is one line and status 1', () => {
  it.each([
    ['--only taxes', 'error: --only must be some of tax, scaling, generation, recompute, got "taxes"'],
    [
      '--latents 3',
      'error: --latents goes with --only tax: the other measurements have numbers of their own',
    ],
    ['--only tax --latents 17', 'error: --latents must be an integer from 0 to 16, got "17"'],
    ['--only tax,', 'error: --only must be some of tax, scaling, generation, recompute, got ""'],
    ['--adapter fast', 'error: --adapter must be auto, gpu or software'],
    ['--bogus', "error: unknown option '--bogus'"],
  ])('%s', async (flags, message) => {
    const { status, stderr } = await run(BENCH, flags);
    expect(stderr).toBe(`${stderr.trim()}\n`);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(1);
  });
});
