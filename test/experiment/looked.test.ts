// Figures of what was seen inside models: the right number from the right place, and none where there is none.
import { expect, it, test } from 'vitest';
import type { NodeShares } from '../../src/eval/nodes.ts';
import type { EvaluationReport } from '../../src/eval/report.ts';
import type { Json } from '../../src/json.ts';
import { cellsOf } from '../../tools/experiment/cell.ts';
import type { Done } from '../../tools/experiment/experiment.ts';
import {
  alone,
  atStage,
  classShare,
  controlled,
  forcedMatch,
  newestThought,
  nodeMasses,
  snapKl,
} from '../../tools/experiment/looked.ts';
import type { CellRecord } from '../../tools/experiment/record.ts';
import { record } from './record.ts';
import tiny from './tiny.ts';

const shares = (thoughts: number, asks: 'step' | 'answer', frontier: number): NodeShares => ({
  ...{ thoughts, asks, samples: 10, depth: thoughts + 1 },
  ...{ nodes: 1, reachable: 0.9, frontier, optimal: frontier / 2, top: [0.4, 0.5, 0.6] },
  chance: { reachable: 0.5, frontier: 0.25, optimal: 0.125 },
});

const classes = (correct: number, other: number) => ({
  ...{ 'correct-path': correct, 'longer-path': 0, hallucination: other },
  ...{ 'wrong-target': 0, 'correct-label': 0, 'incorrect-label': 0 },
});

const report: EvaluationReport = {
  mode: 'coconut',
  samples: 10,
  exactMatch: 0.9,
  exactMatchNoLatents: 0.1,
  tokensPerSample: 6,
  secondsPerSample: 0.001,
  controls: [
    { control: 'none', thought: null, exactMatch: 0.9 },
    { control: 'snap', thought: null, exactMatch: 0.6 },
    { control: 'snap', thought: 2, exactMatch: 0.7 },
  ],
  inspect: {
    samples: 10,
    classes: null,
    forced: [
      { thoughts: 0, exactMatch: 0.4, classes: classes(3, 1) },
      { thoughts: 1, exactMatch: 0.5, classes: null },
    ],
    nodes: [shares(0, 'step', 0.5), shares(1, 'step', 0.75), shares(1, 'answer', 0.25)],
    norms: {
      tokens: { mean: 3, deviation: 0.1 },
      thoughts: [
        { thought: 1, norm: 3.5, deviation: 0.1, cosine: 0.7 },
        { thought: 2, norm: 3.6, deviation: 0.1, cosine: null },
      ],
    },
    entropy: [{ thought: 1, nats: 0.04, peak: 0.99 }],
    snapKl: [
      { thought: 1, kl: 0.01 },
      { thought: 2, kl: 0.02 },
    ],
  },
  halt: null,
};
const plain: EvaluationReport = { ...report, controls: [], inspect: null };
const asJson = (of: EvaluationReport): Json => of as unknown as Json;

const [cell, other] = cellsOf(tiny, 2);
const looked: CellRecord = {
  ...record(cell!),
  looks: [
    { at: 'end', flags: [], result: asJson(plain) },
    { at: 'end', flags: ['--inspect'], result: asJson(report) },
    { at: 1, flags: ['--inspect'], result: asJson(report) },
  ],
};
const unseen = record(other!);

test.each([
  ['the control of all thoughts', controlled('snap'), 0.6, '0.600'],
  ['the control of one', alone('snap', 2), 0.7, '0.700'],
  ['a control that was not made', controlled('zero'), null, ''],
  ['a thought that is none', alone('snap', 3), null, ''],
  ['what a snap loses', snapKl(2), 0.02, '0.020'],
  ['text after thoughts', forcedMatch(1), 0.5, '0.500'],
  ['a class of it', classShare('correct-path', 0), 0.75, '0.750'],
  ['no classes, where it is no search', classShare('correct-path', 1), null, ''],
  ['something as a stage begins', atStage('norm', 1, ({ norms }) => norms!.tokens.mean), 3, '3.00'],
  ['a stage that was not reached', atStage('norm', 2, ({ norms }) => norms!.tokens.mean), null, ''],
])('%s', (_, figure, value, text) => {
  expect(figure.of(looked)).toBe(value);
  if (value !== null) expect(figure.show(value)).toBe(text);
  expect(figure.of(unseen)).toBeNull();
});

const done: Done[] = [{ arm: tiny.arms[0]!, records: [looked, unseen] }];

it('follows the newest thought from stage to stage', () => {
  expect(newestThought(done, ({ norm }) => norm)).toEqual([
    { name: 'window 1', points: [{ x: 1, y: 3.6, seeds: [3.6] }] },
  ]);
  // The second thought stands for no step.
  expect(newestThought(done, ({ cosine }) => cosine)[0]!.points).toEqual([]);
});

it('follows what nodes are worth, beside what chance would give', () => {
  const [values, chance] = nodeMasses(done, 'frontier');
  expect(values!.points.map(({ x, y }) => [x, y])).toEqual([
    [0, 0.5],
    [1, 0.75],
  ]);
  expect(chance).toMatchObject({ name: 'window 1', dashed: true });
  expect(chance!.points.map(({ y }) => y)).toEqual([0.25, 0.25]);
});
