import { describe, expect, it } from 'vitest';
import { pointerKey, pointerSample, pointerWords } from '../../src/data/pointer.ts';
import { prosqaMiniSample, prosqaMiniWords } from '../../src/data/prosqa-mini.ts';
import { TASKS, type TaskName } from '../../src/data/tasks.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { UserError } from '../../src/errors.ts';

const indices = Array.from({ length: 500 }, (_, index) => index);

describe('pointer chasing', () => {
  it('is one cycle, followed from the start, whatever nodes and hops', () => {
    for (const [nodes, hops] of [
      [8, 3],
      [2, 1],
      [5, 4],
      [16, 4],
    ] as const) {
      for (const index of indices) {
        const { question, steps, answer } = pointerSample(1, index, { nodes, hops });
        const words = question.split(' ');
        expect(words).toHaveLength(2 * nodes + 2);
        expect(words[2 * nodes]).toBe('?');
        const next = new Map<string, string>();
        for (let at = 0; at < 2 * nodes; at += 2) next.set(words[at]!, words[at + 1]!);
        const start = words.at(-1)!;
        const walk = [start];
        for (let hop = 0; hop < nodes; hop++) walk.push(next.get(walk.at(-1)!)!);
        expect(new Set(walk).size).toBe(nodes);
        expect(walk.at(-1)).toBe(start);
        expect(steps).toEqual(walk.slice(1, hops + 1));
        expect(answer).toBe(walk[hops]);
      }
    }
  });

  it('asks about every node and answers with every node about equally often', () => {
    const count = (words: string[]): number[] => pointerWords().map(w => words.filter(x => x === w).length);
    const samples = Array.from({ length: 4000 }, (_, index) => pointerSample(2, index));
    for (const counts of [
      count(samples.map(({ question }) => question.split(' ').at(-1)!)),
      count(samples.map(({ answer }) => answer)),
    ]) {
      // 500 expected each, standard deviation 21; "?" never.
      for (const n of counts.slice(0, 8)) expect(Math.abs(n - 500)).toBeLessThan(100);
      expect(counts[8]).toBe(0);
    }
  });

  it('knows the same question in another order', () => {
    const key = (question: string): string => pointerKey({ question, steps: [], answer: '0' });
    expect(key('0 1 1 2 2 0 ? 1')).toBe(key('2 0 0 1 1 2 ? 1'));
    expect(key('0 1 1 2 2 0 ? 1')).not.toBe(key('0 1 1 2 2 0 ? 2'));
    expect(key('0 1 1 2 2 0 ? 1')).not.toBe(key('0 2 2 1 1 0 ? 1'));
  });

  it('refuses what cannot be', () => {
    expect(() => pointerSample(0, 0, { nodes: 3, hops: 3 })).toThrow(
      new UserError('3 hops need at least 4 nodes, got 3'),
    );
    expect(() => pointerSample(0, 0, { hops: 0 })).toThrow(UserError);
    expect(() => pointerSample(0, 0, { nodes: 8.5 })).toThrow(UserError);
    const check = TASKS.pointer.check;
    expect(() => check({ nodes: 8, hops: [2, 3], maxEdges: null })).toThrow(/one number of hops, got 2-3/);
    expect(() => check({ nodes: 8, hops: [3, 3], maxEdges: 9 })).toThrow(UserError);
    expect(() => check({ nodes: 8, hops: [3, 3], maxEdges: null })).not.toThrow();
  });
});

describe('prosqa-mini', () => {
  it('asks for a target 3 hops away among at most 16 edges of at most 12 nodes', () => {
    for (const index of indices) {
      const { question, steps, answer, graph } = prosqaMiniSample(1, index);
      const { symbols, edges, root, target, distractor } = graph!;
      const words = question.split(' ');
      expect(edges.length).toBeLessThanOrEqual(16);
      expect(words).toHaveLength(2 * edges.length + 4);
      const pairs = edges.map((_, e) => `${words[2 * e]} ${words[2 * e + 1]}`);
      expect(pairs.sort()).toEqual(edges.map(([p, c]) => `${symbols[p]} ${symbols[c]}`).sort());
      expect(words[2 * edges.length]).toBe('?');
      expect(words.slice(-3, -1).sort()).toEqual([symbols[target], symbols[distractor]].sort());
      expect(words.at(-1)).toBe(symbols[root]);
      expect(steps).toHaveLength(3);
      const path = [symbols[root]!, ...steps];
      for (let hop = 0; hop < 3; hop++) expect(pairs).toContain(`${path[hop]} ${path[hop + 1]}`);
      expect(answer).toBe(symbols[target]);
      expect(path.at(-1)).toBe(answer);
      expect(new Set(symbols).size).toBe(symbols.length);
    }
  });

  it('gives every node every name', () => {
    const names = indices.map(index => prosqaMiniSample(1, index).graph!.symbols[0]);
    expect(new Set(names)).toEqual(new Set(prosqaMiniWords().filter(word => word !== '?')));
  });
});

describe('every task', () => {
  const options = {
    pointer: { nodes: 8, hops: [3, 3], maxEdges: null },
    'prosqa-mini': { nodes: 12, hops: [3, 3], maxEdges: 16 },
    prosqa: { nodes: 28, hops: [3, 6], maxEdges: null },
  } as const;

  it.each(Object.keys(TASKS) as TaskName[])('%s: vocabulary covers the text, samples are pure', name => {
    const task = TASKS[name];
    const tokenizer = WordTokenizer.fromWords(task.words(options[name]));
    for (const index of indices.slice(0, 100)) {
      const sample = task.sample(4, index, options[name]);
      expect(task.sample(4, index, options[name])).toEqual(sample);
      const text = [sample.question, ...sample.steps, sample.answer].join(' ');
      expect(tokenizer.encode(text)).not.toContain(tokenizer.unknown);
    }
  });
});
