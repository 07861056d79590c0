import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatBar,
  formatLine,
  Progress,
  type ProgressState,
  secondsLeft,
} from '../../src/train/progress.ts';
import { bytes, duration, group, significant } from '../../src/train/results.ts';

const state: ProgressState = {
  arm: 'coconut',
  step: 1250,
  stage: 2,
  lastStage: 3,
  done: 0.5,
  loss: 0.01234,
  valid: { kind: 'validation', accuracy: 0.97 },
  tokensPerSecond: 4321,
  ceilingShare: 0.314,
  liveBytes: 22 * 2 ** 20,
  peakBytes: 41 * 2 ** 20,
  secondsLeft: 127,
};

describe('progress', () => {
  it('says everything in a plain line', () => {
    expect(formatLine(state)).toBe(
      'coconut stage 2/3 · step 1,250 · loss 0.0123 · valid 0.970 · 4.32k tok/s (31% of ceiling) · 22.0 MiB, peak 41.0 MiB · ETA 2:07',
    );
    expect(
      formatLine({ ...state, valid: null, ceilingShare: null, secondsLeft: null, loss: Number.NaN }),
    ).toBe('coconut stage 2/3 · step 1,250 · loss NaN · valid – · 4.32k tok/s · 22.0 MiB, peak 41.0 MiB');
    expect(formatLine({ ...state, lossScale: 65536, skippedSteps: 1 })).toContain(
      ' · 22.0 MiB, peak 41.0 MiB · loss scale 65,536, 1 step skipped · ETA 2:07',
    );
    const text = { kind: 'held-out', loss: 4.56789, bitsPerByte: 1.5 } as const;
    expect(formatLine({ ...state, valid: text })).toContain(' · valid loss 4.568 · ');
  });

  it('never fills the last column and drops the least telling parts first', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 250 }),
        fc.double({ min: -1, max: 2, noNaN: true }),
        (columns, done) => {
          expect(formatBar({ ...state, done }, columns).length).toBeLessThan(columns);
        },
      ),
    );
    expect(formatBar(state, 60)).toBe('███████░░░░░░░ 50%  coconut stage 2/3 · step 1,250');
    expect(formatBar({ ...state, done: 1 }, 200)).toMatch(/^█{24}100% {2}coconut .* ETA 2:07$/);
    expect(formatBar({ ...state, done: 0 }, 200)).toMatch(/^░{24} {2}0% {2}coconut/);
  });

  it('keeps one bar at the foot of a terminal', () => {
    const out: string[] = [];
    const progress = new Progress(text => void out.push(text), { columns: () => 40, every: 10 });
    progress.update(state);
    progress.message('checkpoint 1250');
    progress.close();
    const bar = formatBar(state, 40);
    expect(out.join('')).toBe(`\r\x1b[2K${bar}\r\x1b[2Kcheckpoint 1250\n${bar}\n`);
  });

  it('writes lines without a terminal: every tenth step and all news', () => {
    const lines: string[] = [];
    const progress = new Progress(text => void lines.push(text), { columns: () => undefined, every: 10 });
    for (let step = 1; step <= 30; step++) {
      progress.update({
        ...state,
        step,
        stage: step < 15 ? 0 : 1,
        valid: step < 23 ? null : { kind: 'validation', accuracy: 0.5 },
      });
    }
    progress.message('done');
    progress.close();
    expect(lines.map(line => /step (\d+)/.exec(line)?.[1] ?? line)).toEqual([
      '1',
      '10',
      '15',
      '20',
      '23',
      '30',
      'done\n',
    ]);
    expect(lines.join('')).not.toContain('\x1b');
  });

  it('estimates what is left from what is done', () => {
    expect(secondsLeft(0, 10)).toBeNull();
    expect(secondsLeft(0.25, 10)).toBe(30);
    expect(secondsLeft(1, 10)).toBe(0);
  });
});

describe('numbers in words', () => {
  it('groups, rounds and picks units at their edges', () => {
    expect([0, 999, 1000, 1234567].map(group)).toEqual(['0', '999', '1,000', '1,234,567']);
    expect([0, 1023, 1024, 1536, 1023.9 * 1024, 3 * 2 ** 30].map(bytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 KiB',
      '1.0 MiB',
      '3.0 GiB',
    ]);
    expect([0.0352, 0.9996, 9.96, 59.6, 127, 3723].map(duration)).toEqual([
      '35 ms',
      '1.0 s',
      '10 s',
      '1:00',
      '2:07',
      '1:02:03',
    ]);
    expect([0.00123, 0.123, 12.3, 0, 1e-30].map(value => significant(value, 2))).toEqual([
      '0.0012',
      '0.12',
      '12',
      '0',
      '0.00000000000000000000',
    ]);
  });
});
