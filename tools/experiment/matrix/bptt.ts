// How far must the gradient reach? Windows against hops.
import type { Arm, Experiment } from '../experiment.ts';
import {
  against,
  bestValidation,
  exactMatch,
  memory,
  parameters,
  samplesTo,
  stepTime,
  trainTime,
} from '../figures.ts';

const SAMPLES = 24_000;
const HOPS = [3, 4, 5] as const;
const WINDOWS = [1, 2, 3, 'full'] as const;

const arms = HOPS.flatMap(hops =>
  WINDOWS.map(
    (window): Arm => ({
      name: `${hops} hops, window ${window}`,
      factors: { hops, window },
      minutes: 1 + 0.1 * hops,
      work: {
        kind: 'train',
        options: {
          preset: 'pointer',
          hops: [hops, hops],
          maxLatentStage: hops,
          bptt: window,
          samples: SAMPLES,
        },
        looks: [],
      },
    }),
  ),
);

/** In the last stage, of as many hops as the arm has. */
const enough = samplesTo(0.97);

export const bptt: Experiment = {
  name: 'bptt',
  question: 'How far back through its thoughts must the gradient reach?',
  about: `
Pointer chasing on 8 nodes with 3, 4 and 5 hops, a thought for each hop. A window of k lets the gradient through the last
k thoughts of a row and leaves the others constants; where it spans all of them it is the whole gradient, bit for bit. A
stage adds a thought at the end, so that a short window still trains each thought once, in its own stage. All arms see
the same ${SAMPLES.toLocaleString('en')} samples in the same order for a seed; a stage ends at 0.9 of 300 unseen samples, the last one
with the budget. *Best validation* is that of the last stage at any time: at a constant rate models also unlearn what they
had learnt, and the exact match at the end of the budget is then that of an accident.`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'What a short window costs, and what it saves',
      figures: [exactMatch, bestValidation, enough, stepTime, memory, trainTime, parameters],
      plots: [
        {
          kind: 'lines',
          name: 'accuracy',
          title: 'Exact match on unseen samples after the same number of samples',
          x: 'window',
          y: 'exact match',
          top: 1,
          show: value => value.toFixed(1),
          lines: done => against(done, exactMatch, 'window', 'hops'),
        },
        {
          kind: 'lines',
          name: 'best',
          title: 'The best validation in the last stage',
          x: 'window',
          y: 'exact match',
          top: 1,
          show: value => value.toFixed(1),
          lines: done => against(done, bestValidation, 'window', 'hops'),
        },
        {
          kind: 'lines',
          name: 'samples',
          title: 'Samples until 0.97 of the validation samples are right',
          x: 'window',
          y: 'samples',
          show: enough.show,
          lines: done => against(done, enough, 'window', 'hops'),
        },
        {
          kind: 'lines',
          name: 'memory',
          title: 'Peak memory of a step',
          x: 'window',
          y: 'MiB',
          show: String,
          lines: done => against(done, memory, 'window', 'hops'),
        },
        {
          kind: 'lines',
          name: 'step',
          title: 'Time of a step in the last stage',
          x: 'window',
          y: 'ms',
          show: String,
          lines: done => against(done, stepTime, 'window', 'hops'),
        },
      ],
    },
  ],
};
