// Is it breadth-first? What each thought is worth as a search, on graphs that modes.ts has and on larger ones.
import type { Arm, Experiment } from '../experiment.ts';
import { exactMatch, lastStage, samplesTo, stepTime, tokens, validations } from '../figures.ts';
import { classShare, controlled, forcedMatch, nodeMasses } from '../looked.ts';
import { type Graph, MINI, search as trained } from './common.ts';

/** MINI with a hop more, and a stage for it. Stages are as long as there, the last one longer. */
const DEEPER: Graph = {
  ...MINI,
  options: {
    preset: 'prosqa-mini',
    hops: [4, 4],
    maxLatentStage: 4,
    stageSteps: [1000, 800, 800, 1000, 1200],
  },
};

/** Row for row about twice the work of MINI. */
const LARGER: Graph = {
  options: { ...DEEPER.options, nodes: 16, maxEdges: 24 },
  first: { preset: 'pointer', nodes: 16, positions: 96, stageMaxSteps: 9000 },
  minutes: 4.3,
};

const arms: Arm[] = [
  {
    name: '12 nodes, 3 hops: coconut',
    factors: { graph: 'mini' },
    minutes: 4.3,
    work: trained({ mode: 'coconut' }, MINI),
  },
  {
    name: '12 nodes, 4 hops: coconut',
    factors: { graph: 'deeper', mode: 'coconut' },
    minutes: 6,
    work: trained({ mode: 'coconut' }, DEEPER),
  },
  ...(['coconut', 'cot', 'no-cot'] as const).map(
    (mode): Arm => ({
      name: `16 nodes, 4 hops: ${mode}`,
      factors: { graph: 'larger', mode },
      minutes: mode === 'coconut' ? 7 : 5.5,
      work: trained({ mode }, LARGER),
    }),
  ),
];

const thinking = (arm: Arm): boolean => arm.name.endsWith('coconut');
const masses = [
  ['reachable', 'nodes that the root reaches'],
  ['frontier', 'the frontier, one hop further than the thoughts'],
  ['optimal', 'nodes of the frontier on a shortest way to the target'],
] as const;

export const search: Experiment = {
  name: 'search',
  question: 'Is what the thoughts do a breadth-first search?',
  about: `
Which of two candidates can the root reach? Graphs of 12 nodes with the target 3 hops away are those of \`modes\`. With
4 hops there are two sizes: 12 nodes, with thoughts only, and 16 nodes, with thoughts, writing and neither. All have the
same tables, whatever they show. Every arm starts from the model of its seed that follows pointers in writing among as
many nodes, and gets the same samples as the others of its graph: 115,200 with 3 hops, 153,600 with 4.

After k thoughts the model is made to speak, and the probability that it gives to the name of each node is the node's
value. A breadth-first search would have its values on the *frontier*, the nodes that are one hop further than the
thoughts have gone, and from thought to thought more of it on the *optimal* ones. *Classes* are of what is written when
the rest of the path is to be written after k thoughts (arXiv 2412.06769, section 5).`,
  seeds: 3,
  arms,
  sections: [
    {
      title: 'Accuracy',
      figures: [
        exactMatch,
        controlled('no-latent'),
        controlled('shuffle'),
        controlled('snap'),
        tokens,
        samplesTo(0.9),
        lastStage,
        stepTime,
      ],
      plots: [
        { kind: 'bars', name: 'accuracy', title: 'Exact match on 500 unseen graphs', figure: exactMatch },
        validations('curves'),
      ],
    },
    {
      title: 'Made to speak after k thoughts',
      text: 'Exact match of the answer after the rest of the path has been written, and classes of that path.',
      arms: thinking,
      figures: [
        ...[0, 1, 2, 3, 4].map(forcedMatch),
        ...(['correct-path', 'longer-path', 'hallucination', 'wrong-target'] as const).flatMap(name =>
          [0, 1, 2].map(thoughts => classShare(name, thoughts)),
        ),
      ],
      plots: [],
    },
    {
      title: 'Values of nodes',
      text: 'While a step is still to be said. Dashed: what it would be were all nodes worth the same.',
      arms: thinking,
      figures: [],
      plots: masses.map(([mass, what]) => ({
        kind: 'lines',
        name: mass,
        title: `Value on ${what}`,
        x: 'thoughts',
        y: 'probability',
        top: 1,
        show: value => value.toFixed(1),
        lines: done => nodeMasses(done, mass),
      })),
    },
  ],
};
