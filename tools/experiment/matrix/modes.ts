// Does thinking in latent space work, and what does a token cost? Every mode, on a chain and on a graph.
import type { Arm, Experiment } from '../experiment.ts';
import {
  exactMatch,
  lastStage,
  samplesTo,
  sampleTime,
  stepTime,
  tokens,
  trainTime,
  validations,
} from '../figures.ts';
import { controlled } from '../looked.ts';
import { POINTER_SAMPLES, pointer, search } from './common.ts';

const CHAIN = ['coconut', 'cot', 'no-cot', 'no-thought', 'pause', 'no-curriculum', 'icot'] as const;
const GRAPH = ['coconut', 'cot', 'no-cot', 'pause'] as const;

const arms: Arm[] = [
  ...CHAIN.map(
    (mode): Arm => ({ name: mode, factors: { task: 'chain', mode }, minutes: 1.2, work: pointer({ mode }) }),
  ),
  ...GRAPH.map(
    (mode): Arm => ({
      name: `graph: ${mode}`,
      factors: { task: 'graph', mode },
      minutes: mode === 'coconut' ? 4.3 : 3.5,
      work: search({ mode }),
    }),
  ),
];

const of = (task: string) => (arm: Arm) => arm.factors.task === task;
const mode = (arm: Arm): string => String(arm.factors.mode);
const figures = [
  exactMatch,
  controlled('no-latent'),
  tokens,
  sampleTime,
  samplesTo(0.97),
  lastStage,
  stepTime,
  trainTime,
];

export const modes: Experiment = {
  name: 'modes',
  question: 'Does thinking in latent space work, and what does a token cost?',
  about: `
Two tasks. *Chain*: pointer chasing on 8 nodes, 3 hops, where the answer is the node 3 hops from the start; a guess is
right once in 7. *Graph*: which of two candidates can the root reach, in 12 nodes, 3 hops away (\`prosqa-mini\`); a
guess is right every other time. A mode says what becomes of the written steps, and what takes their place
(\`node train.ts --help\`).

Fair: for a seed all arms see the same samples in the same order, ${POINTER_SAMPLES.toLocaleString('en')} of the chain and 115,200 of the graph.
Model, batch and rate are the same. On the chain a stage ends at 0.9 of 300 unseen samples, and modes without stages
train on the same rows throughout; the last stage lasts until the samples are used up, and the rate falls to 0 by then.
On the graph stages have fixed lengths, and for a seed all arms start from one model, which follows pointers on 12 nodes
in writing, as the paper's arms start from one GPT-2: from nothing, graph search does not begin.

Not fair, whoever it favours: rates and stages were chosen for coconut, none for the others; and a step with thoughts
takes longer than one without, so that equal samples are not equal time.`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'A chain',
      arms: of('chain'),
      figures,
      plots: [
        { kind: 'bars', name: 'chain', title: 'Exact match on 500 unseen chains', figure: exactMatch },
        {
          kind: 'bars',
          name: 'chain-tokens',
          title: 'Generated tokens a sample, thoughts counted',
          figure: tokens,
        },
        validations('chain-curves', mode),
      ],
    },
    {
      title: 'A graph',
      arms: of('graph'),
      figures,
      plots: [
        { kind: 'bars', name: 'graph', title: 'Exact match on 500 unseen graphs', figure: exactMatch },
        validations('graph-curves', mode),
      ],
    },
  ],
};
