// The plan of passes and the batches that it refuses. The recurrence itself is held against PyTorch in test/parity.
import { describe, expect, it } from 'vitest';
import { collate, type Row } from '../../src/data/batch.ts';
import { checkBatch, passes } from '../../src/model/latent.ts';
import type { Schedule } from '../../src/model/recurrence.ts';

const row = (latents: number): Row => {
  const tokens = [5, 6, ...Array<number>(latents).fill(1), 7, 8];
  return {
    tokens,
    labels: tokens.map((token, t) => (t === tokens.length - 1 ? token : -100)),
    latentStart: latents > 0 ? 2 : -1,
    latents,
  };
};

describe('passes', () => {
  it('is one pass without latents', () => {
    expect(passes(9, 9, 0, 2)).toEqual([{ t0: 0, t1: 9, fed: 0, settled: 9, recorded: true }]);
  });

  it('runs the question, each latent, and the last one with the text', () => {
    expect(passes(10, 4, 3, 'full')).toEqual([
      { t0: 0, t1: 4, fed: 0, settled: 4, recorded: true },
      { t0: 4, t1: 5, fed: 1, settled: 5, recorded: true },
      { t0: 5, t1: 6, fed: 1, settled: 6, recorded: true },
      { t0: 6, t1: 10, fed: 1, settled: 10, recorded: true },
    ]);
  });

  it('records the last `window` latents and always the question', () => {
    const recorded = (window: number) => passes(10, 4, 3, window).map(pass => pass.recorded);
    expect(recorded(1)).toEqual([true, false, false, true]);
    expect(recorded(2)).toEqual([true, false, true, true]);
    expect(recorded(3)).toEqual([true, true, true, true]);
    expect(recorded(9)).toEqual([true, true, true, true]);
  });
});

describe('parallel passes', () => {
  const spans = (schedule: Schedule, n = 4) =>
    passes(12, 4, n, 'full', schedule).map(({ t0, t1, fed, settled }) => [t0, t1, fed, settled]);

  it('are a window of latents that moves on by one, the last with the text', () => {
    expect(spans('jacobi:1')).toEqual([
      [0, 4, 0, 4],
      [4, 12, 1, 12],
    ]);
    expect(spans('jacobi:3')).toEqual([
      [0, 4, 0, 4],
      [4, 6, 1, 5],
      [5, 7, 2, 6],
      [6, 12, 2, 12],
    ]);
  });

  it('are the sequential ones where there are as many as latents, or more', () => {
    for (const schedule of ['jacobi:4', 'jacobi:9'] as const)
      expect(spans(schedule)).toEqual(spans('sequential'));
    expect(spans('jacobi:2', 0)).toEqual([[0, 12, 0, 12]]);
  });

  it('settle every column once, and record the last `window` iterations and the question', () => {
    for (let n = 1; n <= 6; n++)
      for (let count = 1; count <= 7; count++)
        for (let window = 1; window <= 4; window++) {
          const plan = passes(12, 4, n, window, `jacobi:${count}`);
          const settled = plan.flatMap(pass =>
            Array.from({ length: pass.settled - pass.t0 }, (_, i) => pass.t0 + i),
          );
          expect(settled).toEqual(Array.from({ length: 12 }, (_, t) => t));
          expect(plan.map(pass => pass.recorded)).toEqual(
            plan.map((_, i) => i === 0 || i >= plan.length - window),
          );
        }
  });
});

describe('checkBatch', () => {
  it('counts the latents of the longest chain', () => {
    expect(checkBatch(collate([row(1), row(3), row(0)], 0), 'full')).toBe(3);
  });

  it('refuses unequal counts with a finite window', () => {
    expect(() => checkBatch(collate([row(1), row(3)], 0), 2)).toThrow(
      /same number of latents; here they have 1 to 3/,
    );
    expect(checkBatch(collate([row(2), row(2)], 0), 2)).toBe(2);
    expect(checkBatch(collate([row(0), row(1), row(2)], 0), 2), 'a window that spans all').toBe(2);
  });

  it('counts iterations where latents run in parallel', () => {
    const mixed = collate([row(1), row(3)], 0);
    expect(checkBatch(mixed, 2, 'jacobi:2'), 'a window that spans all').toBe(3);
    expect(() => checkBatch(mixed, 1, 'jacobi:2')).toThrow(/same number of latents/);
  });

  it('refuses a latent with nothing before it', () => {
    const batch = { ...collate([row(2)], 0), latentStart: 0 };
    expect(() => checkBatch(batch, 'full')).toThrow(/begins with a latent/);
  });
});
