// Is snapping to tokens lossy? What is fed back, on a chain, where a thought is one node, and on a graph.
import type { Arm, Experiment } from '../experiment.ts';
import { exactMatch, lastStage, samplesTo, stepTime, trainTime, validations } from '../figures.ts';
import { controlled, snapKl } from '../looked.ts';
import { pointer, search } from './common.ts';

const CHAIN = ['hidden', 'soft', 'token', 'linear', 'mlp'] as const;
const GRAPH = ['hidden', 'soft', 'token'] as const;

const arms: Arm[] = [
  ...CHAIN.map(
    (feedback): Arm => ({
      name: feedback,
      factors: { task: 'chain', feedback },
      minutes: 1.3,
      work: pointer({ mode: 'coconut', feedback }),
    }),
  ),
  ...GRAPH.map(
    (feedback): Arm => ({
      name: `graph: ${feedback}`,
      factors: { task: 'graph', feedback },
      minutes: 4.3,
      work: search({ mode: 'coconut', feedback }),
    }),
  ),
];

const of = (task: string) => (arm: Arm) => arm.factors.task === task;
const feedback = (arm: Arm): string => String(arm.factors.feedback);
const figures = [
  exactMatch,
  controlled('snap'),
  snapKl(1),
  snapKl(2),
  snapKl(3),
  samplesTo(0.97),
  lastStage,
  stepTime,
  trainTime,
];

export const quantisation: Experiment = {
  name: 'quantisation',
  question: 'Is it lossy to snap thoughts to tokens?',
  about: `
What is fed back as a thought: the hidden state itself (\`hidden\`, as published), through a trained bridge (\`linear\`,
\`mlp\`), the expected embedding under the head's distribution over tokens (\`soft\`), or the embedding of its likeliest
token (\`token\`): a thought that is one word. Models are trained with it. Beside that a model that was trained with
something else is snapped at evaluation only (*snap*), and the loss of snapping one thought is given as the KL divergence
of what is said next, in nats.

Tasks, samples and stages are those of \`modes\`, the same for all arms; on the graph all arms of a
seed start from the same model.`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'A chain',
      arms: of('chain'),
      figures,
      plots: [
        { kind: 'bars', name: 'chain', title: 'Exact match on 500 unseen chains', figure: exactMatch },
        validations('chain-curves', feedback),
      ],
    },
    {
      title: 'A graph',
      arms: of('graph'),
      figures,
      plots: [
        { kind: 'bars', name: 'graph', title: 'Exact match on 500 unseen graphs', figure: exactMatch },
        {
          kind: 'bars',
          name: 'graph-snap',
          title: 'The same with every thought snapped at evaluation',
          figure: controlled('snap'),
        },
      ],
    },
  ],
};
