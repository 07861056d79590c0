// Can the serial chain be broken? Thoughts one after another, or all at once, refined T times.
import type { Arm, Experiment } from '../experiment.ts';
import {
  against,
  exactMatch,
  lastStage,
  memory,
  samplesTo,
  sampleTime,
  stepTime,
  trainTime,
} from '../figures.ts';
import { pointer } from './common.ts';

const ITERATIONS = { 3: [1, 2, 3], 5: [1, 2, 3, 5] } as const;

const arms = ([3, 5] as const).flatMap((hops): Arm[] => {
  const arm = (latents: 'sequential' | `jacobi:${number}`, T: number | string): Arm => ({
    name: `${hops} hops, ${latents}`,
    factors: { hops, T },
    minutes: hops === 3 ? 1.3 : 1.8,
    work: pointer({ mode: 'coconut', hops: [hops, hops], maxLatentStage: hops, bptt: 'full', latents }),
  });
  return [...ITERATIONS[hops].map(T => arm(`jacobi:${T}`, T)), arm('sequential', 'sequential')];
});

export const parallel: Experiment = {
  name: 'parallel',
  question: 'Can the serial chain of thoughts be broken?',
  about: `
A thought is made of the one before it, so that n of them take n small passes one after another. \`--latents jacobi:T\`
makes all of them at once and refines them T times, each from the thoughts of the time before (Jacobi's iteration): T
passes, whatever n is. With T ≥ n the outcome is the sequential one, bit for bit. Models are trained with it.

Pointer chasing on 8 nodes with 3 and 5 hops, a thought for each hop, the whole gradient; samples, stages and everything
else are the same for all arms.`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'Iterations against thoughts',
      figures: [exactMatch, samplesTo(0.97), lastStage, stepTime, sampleTime, memory, trainTime],
      plots: [
        {
          kind: 'lines',
          name: 'accuracy',
          title: 'Exact match on unseen samples after the same number of samples',
          x: 'iterations',
          y: 'exact match',
          top: 1,
          show: value => value.toFixed(1),
          lines: done => against(done, exactMatch, 'T', 'hops'),
        },
        {
          kind: 'lines',
          name: 'step',
          title: 'Time of a step in the last stage',
          x: 'iterations',
          y: 'ms',
          show: String,
          lines: done => against(done, stepTime, 'T', 'hops'),
        },
      ],
    },
  ],
};
