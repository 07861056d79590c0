// The plan of passes and the batches that it refuses. The recurrence itself is held against PyTorch in test/parity.
import { describe, expect, it } from 'vitest';
import { collate, type Row } from '../../src/data/batch.ts';
import { checkBatch, passes } from '../../src/model/latent.ts';

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

  it('refuses a latent with nothing before it', () => {
    const batch = { ...collate([row(2)], 0), latentStart: 0 };
    expect(() => checkBatch(batch, 'full')).toThrow(/begins with a latent/);
  });
});
