// Why is the first thought so expensive, and what makes it cheap? Two switches, apart and together.
import type { Arm, Experiment, Options } from '../experiment.ts';
import { exactMatch, lastStage, samplesTo, stageAt, validations } from '../figures.ts';
import { atStage, newestThought } from '../looked.ts';
import { ALL_LOOKS, pointer, search } from './common.ts';

const SAMPLES = 40_000;

const FORMS: readonly (readonly [name: string, options: Options])[] = [
  ['both', { initScale: 'matched', endMarker: 'latents' }],
  ['norms alone', { initScale: 'matched', endMarker: 'always' }],
  ['marker alone', { initScale: 'gpt2', endMarker: 'latents' }],
  ['neither', { initScale: 'gpt2', endMarker: 'always' }],
];

const arms: Arm[] = [
  ...FORMS.map(
    ([name, options]): Arm => ({
      name,
      factors: { task: 'chain' },
      minutes: 2.2,
      // A checkpoint wherever a stage may end: the first thought is looked at before it has ever been trained.
      work: pointer({ ...options, samples: SAMPLES, checkpointEvery: 25 }, [
        ...ALL_LOOKS,
        { at: 'stages', flags: ['--inspect'] },
      ]),
    }),
  ),
  { name: 'graph: both', factors: { task: 'graph' }, minutes: 4.3, work: search({ mode: 'coconut' }) },
  {
    name: 'graph: neither',
    factors: { task: 'graph' },
    minutes: 4.3,
    work: search({ mode: 'coconut', initScale: 'gpt2', endMarker: 'always' }),
  },
];

const of = (task: string) => (arm: Arm) => arm.factors.task === task;

export const start: Experiment = {
  name: 'start',
  question: 'Why is the first thought so expensive, and what makes it cheap?',
  about: `
Two things stand between a model and its first thought. *Norms*: with embeddings drawn at 0.02 and the last LayerNorm's
gain at 1, what is fed back is many times as long as a token's embedding; \`--init-scale matched\` draws both so that
they are of one length. *Marker*: in the published rows the end marker follows the start marker from the beginning, so
that nothing ever trains the output at the start marker, which is the first thought; \`--end-marker latents\` leaves it
out while there are no thoughts, and that output learns to say the first step. Here with both changes, each alone, and
neither, which is the published form.

All arms see the same samples in the same order: pointer chasing (8 nodes, 3 hops), ${SAMPLES.toLocaleString('en')} samples, stages that end at 0.9
of 300 unseen samples or after 2,000 steps. *Samples to 0.97* is where a validation in the last stage first was so good.
The first thought's norm and cosine are those of what is fed back as a stage begins, before it was ever trained to be:
its length beside that of token embeddings, and its cosine with the embedding of the step that it stands for.`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'What each switch is worth',
      arms: of('chain'),
      figures: [samplesTo(0.97), exactMatch, lastStage, stageAt(1), stageAt(2), stageAt(3)],
      plots: [
        {
          kind: 'bars',
          name: 'samples',
          title: 'Samples until 0.97 in the last stage',
          figure: samplesTo(0.97),
        },
        validations('curves'),
      ],
    },
    {
      title: 'The first thought, before it is trained',
      text: 'At the end of stage 0, with one thought in the place of the first step.',
      arms: of('chain'),
      figures: [
        atStage('norm of a token', 1, ({ norms }) => norms?.tokens.mean ?? null),
        atStage('norm of the thought', 1, ({ norms }) => norms?.thoughts[0]?.norm ?? null),
        atStage('cosine with the step', 1, ({ norms }) => norms?.thoughts[0]?.cosine ?? null),
        atStage('entropy, nats', 1, ({ entropy }) => entropy[0]?.nats ?? null),
      ],
      plots: [
        {
          kind: 'lines',
          name: 'cosine',
          title: 'Cosine of the newest thought with its step, as the stage that adds it begins',
          x: 'stage',
          y: 'cosine',
          top: 1,
          show: value => value.toFixed(1),
          lines: done => newestThought(done, ({ cosine }) => cosine),
        },
        {
          kind: 'lines',
          name: 'norm',
          title: 'Length of the newest thought, as the stage that adds it begins',
          x: 'stage',
          y: 'norm',
          show: String,
          lines: done => newestThought(done, ({ norm }) => norm),
        },
      ],
    },
    {
      title: 'On a graph',
      text: 'The published form against both changes; each starts from a model that follows pointers in writing (see `modes`), of its own initial scale.',
      arms: of('graph'),
      figures: [exactMatch, samplesTo(0.9), samplesTo(0.97)],
      plots: [{ kind: 'bars', name: 'graph', title: 'Exact match on 500 unseen graphs', figure: exactMatch }],
    },
  ],
};
