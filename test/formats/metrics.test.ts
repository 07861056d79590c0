import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatRecord, type MetricRecord, parseMetrics, truncateMetrics } from '../../src/train/metrics.ts';
import { userError } from './expect-error.ts';

const common = { arm: 'coconut', step: 0, stage: 0, samples: 0, seconds: 0 };
const stepAt = (step: number, arm = 'coconut', loss = 1): MetricRecord => ({
  kind: 'step',
  ...common,
  arm,
  step,
  loss,
  gradNorm: 1,
  lr: 1e-3,
  tokensPerSecond: 10,
  ceilingShare: null,
  liveBytes: 1,
  peakBytes: 2,
});
const text = (records: readonly MetricRecord[]) => records.map(formatRecord).join('');

describe('metrics.jsonl', () => {
  it('round-trips records of every kind', () => {
    const records: MetricRecord[] = [
      { kind: 'stage', ...common },
      { ...stepAt(3), kind: 'step', ceilingShare: 0.25 } as MetricRecord,
      { ...stepAt(4), kind: 'step', lossScale: 65536, skippedSteps: 2 } as MetricRecord,
      { kind: 'validation', ...common, step: 3, accuracy: 0.5 },
      { kind: 'held-out', ...common, step: 3, loss: 4.5, bitsPerByte: 1.5 },
    ];
    expect(parseMetrics(text(records), 'm')).toEqual(records);
    expect(parseMetrics('', 'm')).toEqual([]);
  });

  it('keeps a diverged loss as a number that is none', () => {
    const [record] = parseMetrics(text([stepAt(1, 'cot', Number.NaN)]), 'm');
    expect(record).toMatchObject({ loss: Number.NaN });
  });

  it.each([
    ['{"kind":"step"', /^m:2: not valid JSON/],
    ['[]', 'm:2: expected a JSON object, got []'],
    ['{"kind":"x"}', 'm:2: unknown kind "x", expected step, validation, held-out, stage'],
    ['{"kind":"stage"}', 'm:2: "arm" must be text, got undefined'],
    ['{"kind":"stage","arm":"a"}', 'm:2: "step" must be a number, got undefined'],
  ])('refuses %s', async (line, fault) => {
    const message = await userError(() => parseMetrics(text([stepAt(1)]) + line, 'm'));
    if (typeof fault === 'string') expect(message).toBe(fault);
    else expect(message).toMatch(fault);
  });
});

describe('truncateMetrics', () => {
  it('restores, after any kill, exactly the file as it was at the checkpoint', () => {
    // A run of two arms; the checkpoint is anywhere, the kill anywhere after it, in the middle of a line too.
    const records = ['coconut', 'cot'].flatMap(arm =>
      [1, 2, 3, 4, 5].map(step => stepAt(step, arm, step / 7)),
    );
    fc.assert(
      fc.property(fc.nat(records.length - 1), fc.nat(), (at, cut) => {
        const { arm, step } = records[at];
        const before = text(records.slice(0, at + 1));
        const rest = text(records.slice(at + 1));
        const killed = before + rest.slice(0, cut % (rest.length + 1));
        expect(truncateMetrics(killed, { arm, step })).toBe(before);
      }),
    );
  });

  it('drops a later arm when the checkpoint is of the end of an earlier one', () => {
    const kept = text([stepAt(1), stepAt(2)]);
    expect(truncateMetrics(kept + text([stepAt(1, 'cot')]), { arm: 'coconut', step: 2 })).toBe(kept);
    expect(truncateMetrics('', { arm: 'coconut', step: 2 })).toBe('');
    expect(truncateMetrics(text([stepAt(5)]), { arm: 'coconut', step: 2 })).toBe('');
  });
});
