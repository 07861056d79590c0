// Questions as graphs, to and from text, against the tasks that make them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TaskName } from '../../src/data/tasks.ts';
import { drawSample, SIZES, tasksFor } from '../../src/web/question/draw.ts';
import { layoutOf } from '../../src/web/question/layout.ts';
import {
  assign,
  type GraphQuestion,
  parseQuestion,
  questionText,
  sampleOf,
  solve,
  toggleEdge,
} from '../../src/web/question/question.ts';

const tasks = Object.keys(SIZES) as TaskName[];
const sizesOf = (task: TaskName) => ({ task, nodes: SIZES[task].nodes[2], hops: SIZES[task].hops[2] });

describe.each(tasks)('questions of %s', task => {
  const sizes = sizesOf(task);

  it('are read, written and solved as their generator means them', () => {
    for (let index = 0; index < 60; index++) {
      const sample = drawSample(sizes, index);
      const question = parseQuestion(sample.question, task, sizes.hops)!;
      expect(questionText(question)).toBe(sample.question);
      const solution = solve(question)!;
      expect(solution.unique).toBe(true);
      const made = sampleOf(question, solution);
      expect(made.question).toBe(sample.question);
      expect(made.answer).toBe(sample.answer);
      // Where shortest paths are several, each will do.
      expect(made.steps.length).toBe(sample.steps.length);
    }
  });

  it('cannot be read where their form is broken', () => {
    const { question } = drawSample(sizes, 0);
    for (const broken of [
      '',
      '?',
      question.replace('?', ''),
      `${question} ?`,
      question.replace(/\S+ /, task === 'prosqa' ? '. ' : ''),
    ])
      expect(parseQuestion(broken, task, sizes.hops), broken).toBeUndefined();
  });
});

const small: GraphQuestion = {
  task: 'prosqa-mini',
  nodes: ['0', '1', '2', '3', '4'],
  edges: [
    [0, 1],
    [1, 2],
    [3, 4],
  ],
  root: 0,
  candidates: [2, 4],
  hops: 2,
};

describe('editing', () => {
  it('adds an edge, and takes away one that is there', () => {
    const more = toggleEdge(small, 2, 4);
    expect(more.edges).toContainEqual([2, 4]);
    expect(solve(more)).toEqual({ path: [0, 1, 2], unique: false });
    expect(toggleEdge(more, 2, 4).edges).toEqual(small.edges);
    expect(solve(toggleEdge(small, 1, 2))).toBeUndefined();
  });

  it('keeps root and candidates different', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(4), fc.constantFrom('root', 0, 1)), { maxLength: 12 }),
        changes => {
          const end = changes.reduce((question, [node, role]) => assign(question, node, role as 0), small);
          expect(new Set([end.root, ...end.candidates]).size).toBe(3);
          const last = changes.at(-1);
          if (last) expect(last[1] === 'root' ? end.root : end.candidates[last[1] as 0]).toBe(last[0]);
        },
      ),
      { seed: 1 },
    );
  });

  it('survives circles, and text that is read back', () => {
    const circle = toggleEdge(toggleEdge(small, 2, 0), 4, 3);
    expect(solve(circle)).toEqual({ path: [0, 1, 2], unique: true });
    expect(parseQuestion(questionText(circle), 'prosqa-mini', 2)).toEqual(circle);
  });
});

describe('layout', () => {
  it.each(tasks)('of %s gives every node and edge a place inside, and no two nodes the same', task => {
    for (let index = 0; index < 20; index++) {
      const question = parseQuestion(drawSample(sizesOf(task), index).question, task, 3)!;
      const { width, height, nodes, edges } = layoutOf(question);
      for (const { x, y } of [...nodes, ...edges.flat()]) {
        expect(x >= 0 && x <= width).toBe(true);
        expect(y >= 0 && y <= height).toBe(true);
      }
      expect(new Set(nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(question.nodes.length);
    }
  });
});

describe('tasks of a vocabulary', () => {
  it('are those whose words it has', () => {
    const numerals = [...Array(12).keys()].map(String);
    expect(tasksFor([...numerals, '?'])).toEqual(['prosqa-mini', 'pointer']);
    expect(tasksFor(['0', '1', '2', '3', '?'])).toEqual(['pointer']);
    expect(tasksFor(['x'])).toEqual([]);
  });
});
