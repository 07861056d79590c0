// Are the thoughts used? Break them at evaluation, mode by mode; and give a model fewer or more layers to do without.
import type { Arm, Experiment } from '../experiment.ts';
import { exactMatch, lastStage, parameters, samplesTo, stepTime } from '../figures.ts';
import { alone, controlled } from '../looked.ts';
import { pointer, search } from './common.ts';

const SHAPES = [
  { layers: 1, width: 136 },
  { layers: 2, width: 96 },
  { layers: 4, width: 68 },
  { layers: 8, width: 48 },
] as const;
const SHAPE_SAMPLES = 40_000;

const arms: Arm[] = [
  ...(['coconut', 'no-curriculum'] as const).map(
    (mode): Arm => ({ name: mode, factors: { part: 'modes' }, minutes: 1.2, work: pointer({ mode }) }),
  ),
  { name: 'graph: coconut', factors: { part: 'modes' }, minutes: 4.3, work: search({ mode: 'coconut' }) },
  ...SHAPES.map(
    ({ layers, width }): Arm => ({
      name: `${layers} × ${width}`,
      factors: { part: 'shapes', layers },
      minutes: 2 + 0.4 * layers,
      work: pointer({ mode: 'coconut', layers, width, samples: SHAPE_SAMPLES }),
    }),
  ),
];

const of = (part: string) => (arm: Arm) => arm.factors.part === part;
const broken = (['no-latent', 'zero', 'noise', 'shuffle', 'snap'] as const).map(controlled);

export const used: Experiment = {
  name: 'used',
  question: 'Are the thoughts used?',
  about: `
A model that thinks and is right need not be right because of its thoughts. So they are broken at evaluation: taken out
(*no-latent*), nothing fed back (*zero*), a random vector of the same length (*noise*), at every thought that of another sample
(*shuffle*), the nearest token's embedding (*snap*); all of them or one alone. Where the answer survives, it did not
need them.

Models of the modes that feed back thoughts are those of \`modes\`. The shapes have the same number of parameters in
their blocks, 12·layers·width² = 221,000 within half a percent, and the same ${SHAPE_SAMPLES.toLocaleString('en')} samples of pointer chasing: deep
ones could follow three pointers within a column, shallow ones need the thoughts for it.`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'Thoughts broken, mode by mode',
      arms: of('modes'),
      figures: [exactMatch, ...broken],
      plots: [
        { kind: 'bars', name: 'none', title: 'Exact match, thoughts as they are', figure: exactMatch },
        {
          kind: 'bars',
          name: 'shuffle',
          title: 'With the thoughts of another sample',
          figure: controlled('shuffle'),
        },
        {
          kind: 'bars',
          name: 'snap',
          title: 'With every thought snapped to its nearest token',
          figure: controlled('snap'),
        },
      ],
    },
    {
      title: 'One thought broken, the others left',
      arms: of('modes'),
      figures: ([1, 2, 3] as const).flatMap(thought => [
        alone('zero', thought),
        alone('shuffle', thought),
        alone('snap', thought),
      ]),
      plots: [],
    },
    {
      title: 'Wide and shallow against narrow and deep',
      arms: of('shapes'),
      figures: [exactMatch, ...broken, samplesTo(0.97), lastStage, parameters, stepTime],
      plots: [
        { kind: 'bars', name: 'shapes', title: 'Exact match by layers × width', figure: exactMatch },
        {
          kind: 'bars',
          name: 'shapes-without',
          title: 'The same models with their thoughts taken out',
          figure: controlled('no-latent'),
        },
      ],
    },
  ],
};
