// An experiment of seconds: two arms that are trained from a model that both need, and one that starts from nothing.
import type { Arm, Experiment, Options } from '../../tools/experiment/experiment.ts';
import { against, curves, exactMatch, memory, samplesTo } from '../../tools/experiment/figures.ts';

export const SMALL: Options = {
  preset: 'smoke',
  nodes: 4,
  hops: [2, 2],
  layers: 1,
  width: 16,
  batch: 8,
  warmup: 4,
  stageSteps: [8, 4, 4],
  stageCheckEvery: 8,
  validSamples: 4,
  evalSamples: 6,
  reportSamples: 2,
  logEvery: 1,
  checkpointEvery: 4,
};

const { layers: _layers, width: _width, ...sameModel } = SMALL;

const further = (window: 1 | 2): Arm => ({
  name: `window ${window}`,
  factors: { window },
  minutes: 0.1,
  work: {
    kind: 'train',
    options: { ...sameModel, bptt: window },
    from: { name: 'pretrained', options: SMALL, minutes: 0.1 },
    looks: [],
  },
});

const tiny: Experiment = {
  name: 'tiny',
  question: 'Does an experiment run?',
  about: 'A test.',
  seeds: 2,
  arms: [
    further(1),
    further(2),
    {
      name: 'from nothing',
      factors: { window: 'none' },
      minutes: 0.1,
      work: { kind: 'train', options: { ...SMALL, mode: 'cot' }, looks: [] },
    },
  ],
  sections: [
    {
      title: 'Figures',
      figures: [exactMatch, samplesTo(0.5), memory],
      plots: [
        { kind: 'bars', name: 'memory', title: 'Peak memory', figure: memory },
        {
          kind: 'lines',
          name: 'window',
          title: 'Exact match by window',
          x: 'window',
          y: 'exact match',
          top: 1,
          show: value => value.toFixed(1),
          lines: done => against(done, exactMatch, 'window'),
        },
        {
          kind: 'lines',
          name: 'curves',
          title: 'While training',
          x: 'samples',
          y: 'exact match',
          top: 1,
          show: value => value.toFixed(1),
          lines: done => curves(done),
        },
      ],
    },
  ],
};

export default tiny;
