// The six classes of written paths: by cases written by hand, and on every graph of the generators.
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSamples, type Sample } from '../../src/data/sample.ts';
import { generatedSource } from '../../src/data/source.ts';
import type { TaskName, TaskOptions } from '../../src/data/tasks.ts';
import { countClasses, PATH_CLASSES, pathClass } from '../../src/eval/paths.ts';
import { frontierNodes, optimalNodes, type Search, searchOf } from '../../src/eval/search.ts';

const PUBLISHED = process.env.MENTALESE_PROSQA ?? '../shared/data/prosqa_valid.json';

//   0 → 1 → 2 → 3 (target), 0 → 4 → 2 (another shortest way), 0 → 1 → 4 (a longer one), 0 → 5, 6 → 7 (distractor)
const graph = {
  edges: [
    ...([
      [0, 1],
      [1, 2],
      [2, 3],
      [0, 4],
      [4, 2],
      [1, 4],
    ] as const),
    ...([
      [0, 5],
      [6, 7],
    ] as const),
  ],
  ...{ root: 0, target: 3, distractor: 7 },
};
const words: Sample = {
  question: '… ? d h a',
  steps: ['b', 'c', 'd'],
  answer: 'd',
  graph: { ...graph, symbols: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] },
};
const names = ['Tom', 'bompus', 'dumpus', 'gorpus', 'impus', 'jompus', 'Eva', 'lempus'];
const sentences: Sample = {
  question: '…',
  steps: ['Tom is a bompus.', 'Every bompus is a dumpus.', 'Every dumpus is a gorpus.'],
  answer: 'Tom is a gorpus.',
  graph: { ...graph, symbols: names },
};

const classes = (sample: Sample, whole: boolean, text: string, correct = false) =>
  pathClass(searchOf(sample)!, { text, whole, correct });

describe('a whole path in words', () => {
  it.each([
    ['b c d ### d', 'correct-path'],
    ['e c d ### d', 'correct-path'],
    // The path counts, whatever the answer after it.
    ['b c d ### h', 'correct-path'],
    ['b c d', 'correct-path'],
    ['b e c d ### d', 'longer-path'],
    ['b d ### d', 'hallucination'],
    ['a b c d ### d', 'hallucination'],
    ['c d ### d', 'hallucination'],
    ['b c nobody ### d', 'hallucination'],
    ['b c ### d', 'wrong-target'],
    ['f ### d', 'wrong-target'],
    ['h ### h', 'hallucination'],
  ])('%s is %s', (text, expected) => expect(classes(words, true, text)).toBe(expected));
});

describe('the rest of a path in words, where thoughts stand for its beginning', () => {
  it.each([
    ['c d ### d', 'correct-path'],
    ['d ### d', 'correct-path'],
    ['b e c d ### d', 'longer-path'],
    ['b c ### d', 'wrong-target'],
    ['f ### d', 'wrong-target'],
    // Nothing leads from the root to g.
    ['g h ### h', 'hallucination'],
    ['h ### h', 'hallucination'],
    ['c b d ### d', 'hallucination'],
  ])('%s is %s', (text, expected) => expect(classes(words, false, text)).toBe(expected));

  it('is a label where no step is written', () => {
    expect(classes(words, false, '### d', true)).toBe('correct-label');
    expect(classes(words, false, '### h', false)).toBe('incorrect-label');
    expect(classes(words, true, '', false)).toBe('incorrect-label');
  });
});

describe('a path in sentences', () => {
  it.each([
    [
      true,
      'Tom is a bompus. Every bompus is a dumpus. Every dumpus is a gorpus. ### Tom is a gorpus.',
      'correct-path',
    ],
    [
      true,
      'Tom is a bompus. Every bompus is a impus. Every impus is a dumpus. Every dumpus is a gorpus.',
      'longer-path',
    ],
    [true, 'Tom is a bompus. Every impus is a dumpus. Every dumpus is a gorpus. ###', 'hallucination'],
    [true, 'Tom is a dumpus. Every dumpus is a gorpus. ###', 'hallucination'],
    [true, 'Every bompus is a dumpus. Every dumpus is a gorpus. ###', 'hallucination'],
    [true, 'Eva is a lempus. ### Tom is a lempus.', 'hallucination'],
    [true, 'Tom is a jompus. ### Tom is a gorpus.', 'wrong-target'],
    [true, 'Tom bompus is. ### Tom is a gorpus.', 'hallucination'],
    [false, 'Every bompus is a dumpus. Every dumpus is a gorpus. ###', 'correct-path'],
    [false, 'Every bompus is a impus. Every impus is a dumpus. Every dumpus is a gorpus. ###', 'longer-path'],
    [false, 'Eva is a lempus. ### Tom is a lempus.', 'hallucination'],
    [false, '### Tom is a lempus.', 'incorrect-label'],
  ] as const)('whole %s: %s is %s', (whole, text, expected) =>
    expect(classes(sentences, whole, text)).toBe(expected),
  );
});

describe('a search', () => {
  it('knows distances, frontier and the nodes that a shortest path may take', () => {
    const search = searchOf(words)!;
    expect(search.fromRoot).toEqual([0, 1, 2, 3, 1, 1, Infinity, Infinity]);
    expect(search.toTarget).toEqual([3, 2, 1, 0, 2, Infinity, Infinity, Infinity]);
    expect(frontierNodes(search, 1)).toEqual([1, 4, 5]);
    expect(optimalNodes(search, 1)).toEqual([1, 4]);
    expect(optimalNodes(search, 3)).toEqual([3]);
    expect(optimalNodes(search, 4)).toEqual([]);
  });

  it('is read from pairs where the sample has no graph, and is none elsewhere', () => {
    const {
      form,
      names: read,
      edges,
      root,
      target,
      fromRoot,
    } = searchOf({
      ...{ question: '2 0 0 1 1 2 ? 0', steps: ['1', '2'], answer: '2' },
    })!;
    expect({ form, read, edges, root, target, fromRoot }).toEqual({
      ...{
        form: 'words',
        read: ['2', '0', '1'],
        edges: [
          [0, 1],
          [1, 2],
          [2, 0],
        ],
      },
      ...{ root: 1, target: 0, fromRoot: [2, 0, 1] },
    });
    for (const question of ['how many?', '1 2 3 ? 1', '1 2 ? 3', '1 2 ? 1 ? 2'])
      expect(searchOf({ question, steps: [], answer: '2' })).toBeUndefined();
  });
});

/** Properties of a sample's own right text, whole and without its first k steps. */
function checkSample(sample: Sample): void {
  const search = searchOf(sample)!;
  const { steps, answer } = sample;
  for (let k = 0; k < steps.length; k++) {
    const text = `${steps.slice(k).join(' ')} ### ${answer}`;
    expect(pathClass(search, { text, whole: k === 0, correct: true })).toBe('correct-path');
    expect(optimalNodes(search, k + 1).length).toBeGreaterThan(0);
  }
  const left = steps.slice(0, -1).join(' ');
  if (left !== '') expect(pathClass(search, { text: left, whole: true, correct: true })).toBe('wrong-target');
  const backwards = steps.toReversed().join(' ');
  if (steps.length > 1)
    expect(pathClass(search, { text: backwards, whole: true, correct: true })).toBe('hallucination');
  expect(pathClass(search, { text: `### ${answer}`, whole: false, correct: true })).toBe('correct-label');
  expect(search.fromRoot[search.target]).toBe(steps.length);
}

describe('the steps of a sample are a correct path', () => {
  const tasks: [TaskName, TaskOptions][] = [
    ['pointer', { nodes: 8, hops: [3, 3], maxEdges: null }],
    ['prosqa-mini', { nodes: 12, hops: [3, 3], maxEdges: 16 }],
    ['prosqa', { nodes: 28, hops: [3, 6], maxEdges: null }],
  ];
  it.each(tasks)('of every %s sample', (task, options) => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(100), (seed, index) => {
        checkSample(generatedSource(task, options, seed, 'test').at(index));
      }),
      { numRuns: 40, seed: 5 },
    );
  });

  const published = existsSync(PUBLISHED) ? parseSamples(readFileSync(PUBLISHED, 'utf8'), PUBLISHED) : [];
  it.skipIf(published.length === 0)(
    `of every published one (skipped where ${PUBLISHED} is absent: MENTALESE_PROSQA names the file)`,
    () => {
      for (const sample of published) checkSample(sample);
      const own = published.map(sample =>
        pathClass(searchOf(sample)!, { text: sample.steps.join(' '), whole: true, correct: true }),
      );
      expect(countClasses(own)).toEqual({
        ...Object.fromEntries(PATH_CLASSES.map(name => [name, 0])),
        'correct-path': published.length,
      });
    },
  );
});

describe('any walk and any text has one class', () => {
  it('which is what a search by hand says', () => {
    const search: Search = searchOf(words)!;
    const letters = search.names;
    fc.assert(
      fc.property(fc.array(fc.nat(7), { minLength: 1, maxLength: 5 }), fc.boolean(), (nodes, whole) => {
        const text = nodes.map(node => letters[node]).join(' ');
        const path = whole ? [0, ...nodes] : nodes;
        const joined = path
          .slice(1)
          .every((child, i) => graph.edges.some(([a, b]) => a === path[i] && b === child));
        const start = search.fromRoot[path[0]!]!;
        const found = pathClass(search, { text, whole, correct: false });
        if (!joined || start === Infinity) expect(found).toBe('hallucination');
        else if (path.at(-1) !== 3) expect(found).toBe('wrong-target');
        else expect(found).toBe(start + path.length - 1 > 3 ? 'longer-path' : 'correct-path');
      }),
    );
  });
});
