// A record as a cell might leave it, for tests that run nothing.
import type { Cell } from '../../tools/experiment/cell.ts';
import type { CellRecord, Trained } from '../../tools/experiment/record.ts';

export function record(cell: Cell, training: Partial<Trained> = {}): CellRecord {
  return {
    id: cell.id,
    arm: cell.arm,
    seed: cell.seed,
    commands: [`node train.ts ${cell.flags.join(' ')}`],
    commit: '0123456789',
    adapter: 'software (test)',
    date: '2026-11-24T12:00:00.000Z',
    seconds: 60,
    training: {
      parameters: 1000,
      samples: 320,
      steps: 20,
      lastStage: 1,
      stages: [
        [0, 0],
        [10, 160],
      ],
      curve: [
        [160, 0, 0.25],
        [320, 1, 0.5],
      ],
      evalSamples: 100,
      exactMatch: 0.5,
      exactMatchNoLatents: 0.125,
      tokensPerSample: 6,
      secondsPerSample: 0.001,
      stepSeconds: 0.02,
      trainSeconds: 40,
      peakBytes: 2 ** 20,
      ...training,
    },
    looks: [],
    measured: null,
  };
}
