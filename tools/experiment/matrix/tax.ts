// What does the serial training cost? A step with n thoughts over one with as many written steps.
import type { Arm, Experiment } from '../experiment.ts';
import { against, measured } from '../figures.ts';

const LATENTS = [0, 1, 2, 3, 4, 6, 8, 12, 16] as const;

const arms = LATENTS.map(
  (n): Arm => ({
    name: n === 1 ? '1 thought' : `${n} thoughts`,
    factors: { n },
    minutes: 0.5,
    work: {
      kind: 'measure',
      script: 'bench/latents.ts',
      flags: ['--only', 'tax', '--latents', String(n)],
    },
  }),
);

const milliseconds = (value: number): string => `${value.toFixed(1)} ms`;
const ratio = measured('tax', ['tax', 0, 'ratio', 'median'], value => value.toFixed(2));
const latents = measured('step with thoughts', ['tax', 0, 'latents', 'ms', 'median'], milliseconds);
const written = measured('step with written steps', ['tax', 0, 'written', 'ms', 'median'], milliseconds);
const dispatches = measured('dispatches with thoughts', ['tax', 0, 'latents', 'dispatches'], String);
const ordinary = measured('dispatches with written steps', ['tax', 0, 'written', 'dispatches'], String);

export const tax: Experiment = {
  name: 'tax',
  question: 'What does the serial chain of thoughts cost in training?',
  about: `
A training step on rows with n thoughts over a step on rows of the same length that have n written, labelled steps in
those columns: the operations are nearly the same, what differs is that thoughts are computed one after another, forward
and backward. Model, questions (38 columns) and batch (32) are the same for all n, the whole gradient is computed; the
two kinds of steps take turns, and the ratio is taken round by round (\`bench/latents.ts\`). With n = 0 both are the same
rows: what the ratio then is away from 1 is the measurement's own error. Seeds are repetitions, each in a process of its
own.`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'Tax',
      figures: [ratio, latents, written, dispatches, ordinary],
      plots: [
        {
          kind: 'lines',
          name: 'ratio',
          title: 'A step with n thoughts over one with n written steps',
          x: 'thoughts',
          y: 'tax',
          show: value => value.toFixed(1),
          lines: done => against(done, ratio, 'n'),
        },
        {
          kind: 'lines',
          name: 'step',
          title: 'Time of a step',
          x: 'thoughts or written steps',
          y: 'ms',
          show: String,
          lines: done => [
            ...against(done, latents, 'n').map(line => ({ ...line, name: 'thoughts' })),
            ...against(done, written, 'n').map(line => ({ ...line, name: 'written steps' })),
          ],
        },
      ],
    },
  ],
};
