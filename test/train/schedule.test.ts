// When stages end and how the rate goes: pure functions of options and counters.
import { describe, expect, it } from 'vitest';
import { learningRate } from '../../src/train/optimizer.ts';
import type { TrainOptions } from '../../src/train/option-table.ts';
import { withPreset } from '../../src/train/presets.ts';
import { lastStage, plannedSteps, shareDone, stageEnds } from '../../src/train/schedule.ts';

const options = (changes: Partial<TrainOptions>): TrainOptions => ({
  ...withPreset({ preset: 'pointer' }),
  ...changes,
});
const auto = options({
  stageSteps: 'auto',
  maxLatentStage: 3,
  stageAccuracy: 0.9,
  finalAccuracy: 0.99,
  stageMaxSteps: 100,
});
const list = options({ stageSteps: [10, 20, 30, 40], maxLatentStage: 3 });
const at = (stage: number, stageStep: number, step = stageStep) => ({ step, samples: 0, stage, stageStep });

describe('stages', () => {
  it('end on accuracy, the last one on its own', () => {
    expect(stageEnds(at(0, 25), 3, auto, 0.89)).toBe(false);
    expect(stageEnds(at(0, 25), 3, auto, 0.9)).toBe(true);
    expect(stageEnds(at(3, 25), 3, auto, 0.95)).toBe(false);
    expect(stageEnds(at(3, 25), 3, auto, 0.99)).toBe(true);
    expect(stageEnds(at(0, 25), 3, auto, null)).toBe(false);
  });

  it('end at their cap', () => {
    expect(stageEnds(at(1, 99), 3, auto, null)).toBe(false);
    expect(stageEnds(at(1, 100), 3, auto, null)).toBe(true);
  });

  it('end at their given lengths, whatever the accuracy', () => {
    expect(stageEnds(at(1, 19), 3, list, 1)).toBe(false);
    expect(stageEnds(at(1, 20), 3, list, null)).toBe(true);
  });

  it('go one further where samples have more steps than the last latent stage replaces', () => {
    for (const mode of ['coconut', 'no-thought', 'pause'] as const) {
      expect(lastStage(mode, auto, { steps: 3, tokens: 30 })).toBe(3);
      expect(lastStage(mode, auto, { steps: 6, tokens: 60 })).toBe(4);
      expect(lastStage(mode, list, { steps: 6, tokens: 60 })).toBe(3);
    }
  });

  it('are as many as icot needs to drop all tokens', () => {
    const by = (icotTokens: number, tokens: number) =>
      lastStage('icot', { ...auto, icotTokens }, { steps: 3, tokens });
    expect([by(8, 35), by(8, 32), by(1, 3), by(8, 3), by(8, 0)]).toEqual([5, 4, 3, 1, 0]);
  });

  it('are one where nothing is dropped, which lasts as long as a list in all', () => {
    for (const mode of ['cot', 'no-cot', 'no-curriculum'] as const) {
      expect(lastStage(mode, auto, { steps: 6, tokens: 60 })).toBe(0);
      expect(lastStage(mode, list, { steps: 6, tokens: 60 })).toBe(0);
    }
    expect(stageEnds(at(0, 10), 0, list, 1)).toBe(false);
    expect(stageEnds(at(0, 100), 0, list, 1)).toBe(false);
  });

  it('make a plan where one can be made', () => {
    expect(plannedSteps(auto, null)).toBe(null);
    expect(plannedSteps(list, null)).toBe(100);
    expect(plannedSteps({ ...list, steps: 50 }, null)).toBe(50);
    expect(plannedSteps({ ...auto, steps: 50 }, null)).toBe(50);
    expect(plannedSteps({ ...list, mode: 'lm', steps: 500 }, null)).toBe(500);
    expect(plannedSteps({ ...list, mode: 'lm' }, null)).toBe(100);
    expect(plannedSteps({ ...auto, batch: 16 }, 161)).toBe(11);
    expect(plannedSteps({ ...list, batch: 16 }, 1610)).toBe(101);
    expect(plannedSteps({ ...auto, batch: 16, steps: 5 }, 161)).toBe(5);
  });

  it('tell how far the arm is', () => {
    expect(shareDone(at(2, 5, 50), 3, 100, null, list)).toBe(0.5);
    expect(shareDone(at(0, 5), 3, null, null, auto)).toBe(0);
    expect(shareDone(at(1, 5), 3, null, null, auto)).toBe(0.5);
    expect(shareDone(at(3, 5), 3, null, 0.98, auto)).toBeLessThan(1);
  });
});

describe('learningRate', () => {
  const constant = { lr: 2, warmup: 4, schedule: 'constant' as const };

  it('rises over the warm-up, then stays', () => {
    const rates = [0, 1, 3, 4, 400].map(step => learningRate(step, step, constant, null));
    expect(rates).toEqual([0.5, 1, 2, 2, 2]);
    expect(learningRate(0, 0, { ...constant, warmup: 0 }, null)).toBe(2);
  });

  it('rises again where the optimizer was reset', () => {
    expect([100, 101, 102].map(step => learningRate(step, step - 100, constant, null))).toEqual([
      0.5, 1, 1.5,
    ]);
  });

  it('falls by half a cosine to 0', () => {
    const cosine = { ...constant, schedule: 'cosine' as const };
    expect(learningRate(4, 4, cosine, 104)).toBe(2);
    expect(learningRate(54, 54, cosine, 104)).toBeCloseTo(1, 12);
    expect(learningRate(104, 104, cosine, 104)).toBe(0);
  });
});
