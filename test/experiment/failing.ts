// An experiment one of whose runs diverges, so that what starts from it has nothing to start from.
import type { Experiment, Training } from '../../tools/experiment/experiment.ts';
import tiny, { SMALL } from './tiny.ts';

const { layers: _layers, width: _width, ...sameModel } = SMALL;
const training = (options: Training['options'], from?: Training['from']) => ({
  factors: {},
  minutes: 0.1,
  work: { kind: 'train', options, looks: [], ...(from && { from }) } as const,
});

const failing: Experiment = {
  ...tiny,
  name: 'failing',
  seeds: 1,
  arms: [
    {
      name: 'after it',
      ...training(sameModel, { name: 'diverging', options: { ...SMALL, lr: 1e30, clip: 0 }, minutes: 0.1 }),
    },
    { name: 'sound', ...training({ ...SMALL, mode: 'no-cot' }) },
  ],
};

export default failing;
