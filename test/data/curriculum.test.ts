import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silentIn } from '../../src/data/batch.ts';
import {
  type CurriculumOptions,
  drawStage,
  FORMS,
  longestRow,
  MODES,
  type Mode,
  promptOf,
  rowOf,
  withoutLatents,
  withSteps,
} from '../../src/data/curriculum.ts';
import { randomFor } from '../../src/data/random.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';

const tokenizer = WordTokenizer.fromWords(['q', 'one', 'two', 'three', 'x', 'y', '.']);
const sample = { question: 'q q', steps: ['one.', 'two.', 'three x.'], answer: 'y.' };
const base: CurriculumOptions = {
  latentsPerStep: 1,
  maxLatentStage: 3,
  padLatents: true,
  endMarker: 'latents',
};

/** A row in words: `[word]` is labelled with itself, anything else carries no label. */
function shown(
  mode: (typeof MODES)[number],
  stage: number,
  options: Partial<CurriculumOptions> = {},
  of = sample,
) {
  const row = rowOf(of, tokenizer, mode, stage, { ...base, ...options });
  expect(row.labels).toHaveLength(row.tokens.length);
  for (const [t, id] of row.tokens.entries()) {
    const isLatent = t >= row.latentStart && t < row.latentStart + row.latents;
    expect(id === tokenizer.latent, `latent at ${t}`).toBe(row.latents > 0 && isLatent);
  }
  expect(row.latentStart).toBe(row.tokens.indexOf(tokenizer.latent));
  return row.tokens
    .map((id, t) => {
      const word = tokenizer.words[id]!.replace(/<\|(start|end)?-?latent\|>/, (_, kind) => kind ?? 'L');
      if (row.labels[t] === -100) return word;
      expect(row.labels[t]).toBe(id);
      return `[${word}]`;
    })
    .join(' ');
}

const ANSWER = '[###] [y] [.] [<eos>]';

describe('rows', () => {
  it('coconut replaces the first steps, stage by stage', () => {
    expect(shown('coconut', 0)).toBe(`q q start [one] [.] [two] [.] [three] [x] [.] ${ANSWER}`);
    expect(shown('coconut', 1)).toBe(`q q start L end [two] [.] [three] [x] [.] ${ANSWER}`);
    expect(shown('coconut', 2)).toBe(`q q start L L end [three] [x] [.] ${ANSWER}`);
    expect(shown('coconut', 3)).toBe(`q q start L L L end ${ANSWER}`);
    expect(shown('coconut', 4)).toBe(`q q start L L L end ${ANSWER}`);
  });

  it('coconut puts c latents for a step', () => {
    expect(shown('coconut', 1, { latentsPerStep: 2 })).toBe(
      `q q start L L end [two] [.] [three] [x] [.] ${ANSWER}`,
    );
    expect(shown('coconut', 9, { latentsPerStep: 2 })).toBe(`q q start L L L L L L end ${ANSWER}`);
  });

  it('coconut drops all steps past the last stage, however many there are', () => {
    expect(shown('coconut', 1, { maxLatentStage: 1 })).toBe(
      `q q start L end [two] [.] [three] [x] [.] ${ANSWER}`,
    );
    expect(shown('coconut', 2, { maxLatentStage: 1 })).toBe(`q q start L end ${ANSWER}`);
  });

  it('coconut gives short samples as many latents past the last stage, or one a step', () => {
    const short = { ...sample, steps: ['one.'] };
    expect(shown('coconut', 3, {}, short)).toBe(`q q start L L L end ${ANSWER}`);
    expect(shown('coconut', 3, { padLatents: false }, short)).toBe(`q q start L L L end ${ANSWER}`);
    expect(shown('coconut', 4, { padLatents: true }, short)).toBe(`q q start L L L end ${ANSWER}`);
    expect(shown('coconut', 4, { padLatents: false }, short)).toBe(`q q start L end ${ANSWER}`);
    const none = { ...sample, steps: [] };
    expect(shown('coconut', 4, { padLatents: false }, none)).toBe(`q q start ${ANSWER}`);
    expect(shown('coconut', 4, { padLatents: false, endMarker: 'always' }, none)).toBe(
      `q q start end ${ANSWER}`,
    );
  });

  it('coconut writes the end marker in rows without latents only when told to', () => {
    expect(shown('coconut', 0, { endMarker: 'always' })).toBe(
      `q q start end [one] [.] [two] [.] [three] [x] [.] ${ANSWER}`,
    );
    expect(shown('coconut', 1, { endMarker: 'always' })).toBe(shown('coconut', 1));
  });

  it('cot writes all steps and no-cot none, at every stage, without markers', () => {
    for (const stage of [0, 1, 3, 4]) {
      expect(shown('cot', stage)).toBe(`q q [one] [.] [two] [.] [three] [x] [.] ${ANSWER}`);
      expect(shown('no-cot', stage)).toBe(`q q ${ANSWER}`);
    }
    expect(MODES).toEqual(['coconut', 'cot', 'no-cot', 'no-thought', 'pause', 'no-curriculum', 'icot']);
  });
});

// The same tokenizer's ids, by hand.
const [EOS, START, END, L, M, Q, ONE, TWO, THREE, X, Y, DOT] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
const N = -100;

/** tokens, labels, and where the recurrence is: [index of the first latent, latents], then pauses where there are any. */
type Written = readonly [
  tokens: readonly (number | undefined)[],
  labels: readonly (number | undefined)[],
  recurrence: readonly [latentStart: number, latents: number],
  pauses?: { readonly start: number; readonly count: number },
];

describe('rows written by hand', () => {
  const row = (mode: Mode, stage: number, changes: Partial<CurriculumOptions> = {}, steps = sample.steps) => {
    const options = { ...base, icotTokens: 2, ...changes };
    const made = rowOf({ ...sample, steps }, tokenizer, mode, stage, options);
    const { tokens, labels, latentStart, latents, pauses } = made;
    return [tokens, labels, [latentStart, latents], ...(pauses ? [pauses] : [])];
  };
  const NONE = [-1, 0] as const;
  const ALWAYS = { endMarker: 'always' } as const;

  const cot: Written = [
    [Q, Q, ONE, DOT, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
    [N, N, ONE, DOT, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
    NONE,
  ];
  const noCot: Written = [[Q, Q, M, Y, DOT, EOS], [N, N, M, Y, DOT, EOS], NONE];
  const fromTwo: Written = [
    [Q, Q, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
    [N, N, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
    NONE,
  ];

  it('cot and no-cot', () => {
    expect(row('cot', 2)).toEqual(cot);
    expect(row('no-cot', 0)).toEqual(noCot);
  });

  it('coconut', () => {
    expect(row('coconut', 1, { latentsPerStep: 2 })).toEqual([
      [Q, Q, START, L, L, END, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      [N, N, N, N, N, N, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      [3, 2],
    ]);
  });

  it('no-thought drops the steps that coconut drops, and puts nothing in their place', () => {
    expect(row('no-thought', 0)).toEqual(cot);
    expect(row('no-thought', 1)).toEqual(fromTwo);
    expect(row('no-thought', 2)).toEqual([
      [Q, Q, THREE, X, DOT, M, Y, DOT, EOS],
      [N, N, THREE, X, DOT, M, Y, DOT, EOS],
      NONE,
    ]);
    expect(row('no-thought', 3)).toEqual(noCot);
    expect(row('no-thought', 4)).toEqual(noCot);
    expect(row('no-thought', 1, { maxLatentStage: 1 })).toEqual(fromTwo);
    expect(row('no-thought', 2, { maxLatentStage: 1 })).toEqual(noCot);
    for (const changes of [ALWAYS, { latentsPerStep: 2 }, { padLatents: false }]) {
      expect(row('no-thought', 1, changes)).toEqual(fromTwo);
      expect(row('no-thought', 4, changes, ['one.'])).toEqual(noCot);
    }
  });

  it('pause has the columns of coconut, and no recurrence', () => {
    expect(row('pause', 0)).toEqual([
      [Q, Q, START, ONE, DOT, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      [N, N, N, ONE, DOT, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      NONE,
    ]);
    expect(row('pause', 0, ALWAYS)).toEqual([
      [Q, Q, START, END, ONE, DOT, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      [N, N, N, N, ONE, DOT, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      NONE,
    ]);
    expect(row('pause', 1)).toEqual([
      [Q, Q, START, L, END, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      [N, N, N, N, N, TWO, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      NONE,
      { start: 3, count: 1 },
    ]);
    expect(row('pause', 2, { latentsPerStep: 2 })).toEqual([
      [Q, Q, START, L, L, L, L, END, THREE, X, DOT, M, Y, DOT, EOS],
      [N, N, N, N, N, N, N, N, THREE, X, DOT, M, Y, DOT, EOS],
      NONE,
      { start: 3, count: 4 },
    ]);
    expect(row('pause', 4)).toEqual([
      [Q, Q, START, L, L, L, END, M, Y, DOT, EOS],
      [N, N, N, N, N, N, N, M, Y, DOT, EOS],
      NONE,
      { start: 3, count: 3 },
    ]);
    expect(row('pause', 4, {}, ['one.'])).toEqual(row('pause', 4));
    expect(row('pause', 4, { padLatents: false }, ['one.'])).toEqual([
      [Q, Q, START, L, END, M, Y, DOT, EOS],
      [N, N, N, N, N, M, Y, DOT, EOS],
      NONE,
      { start: 3, count: 1 },
    ]);
    expect(row('pause', 4, { padLatents: false }, [])).toEqual([
      [Q, Q, START, M, Y, DOT, EOS],
      [N, N, N, M, Y, DOT, EOS],
      NONE,
    ]);
  });

  it('no-curriculum has all its latents and no step from the start', () => {
    const three: Written = [
      [Q, Q, START, L, L, L, END, M, Y, DOT, EOS],
      [N, N, N, N, N, N, N, M, Y, DOT, EOS],
      [3, 3],
    ];
    for (const stage of [0, 1, 4]) expect(row('no-curriculum', stage)).toEqual(three);
    expect(row('no-curriculum', 0, ALWAYS)).toEqual(three);
    expect(row('no-curriculum', 0, {}, ['one.'])).toEqual(three);
    expect(row('no-curriculum', 0, { latentsPerStep: 2, maxLatentStage: 2 })).toEqual([
      [Q, Q, START, L, L, L, L, END, M, Y, DOT, EOS],
      [N, N, N, N, N, N, N, N, M, Y, DOT, EOS],
      [3, 4],
    ]);
    expect(row('no-curriculum', 0, { latentsPerStep: 2, padLatents: false }, ['one.'])).toEqual([
      [Q, Q, START, L, L, END, M, Y, DOT, EOS],
      [N, N, N, N, N, N, M, Y, DOT, EOS],
      [3, 2],
    ]);
    const none = { padLatents: false, ...ALWAYS };
    expect(row('no-curriculum', 0, none, [])).toEqual([
      [Q, Q, START, END, M, Y, DOT, EOS],
      [N, N, N, N, M, Y, DOT, EOS],
      NONE,
    ]);
  });

  it('icot drops tokens from the left, whatever steps they are of', () => {
    expect(row('icot', 0)).toEqual(cot);
    expect(row('icot', 1)).toEqual(fromTwo);
    expect(row('icot', 1, { icotTokens: 3 })).toEqual([
      [Q, Q, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      [N, N, DOT, THREE, X, DOT, M, Y, DOT, EOS],
      NONE,
    ]);
    expect(row('icot', 3)).toEqual([[Q, Q, DOT, M, Y, DOT, EOS], [N, N, DOT, M, Y, DOT, EOS], NONE]);
    expect(row('icot', 4)).toEqual(noCot);
    expect(row('icot', 9)).toEqual(noCot);
    for (const changes of [ALWAYS, { latentsPerStep: 2 }, { maxLatentStage: 0 }, { padLatents: false }])
      expect(row('icot', 1, changes)).toEqual(fromTwo);
    // 8 a stage where nothing is said: the seven tokens of these steps go at once.
    expect(rowOf(sample, tokenizer, 'icot', 1, base).tokens).toEqual(noCot[0]);
  });
});

describe('rows for a step head', () => {
  const sample = { question: 'q', steps: ['a b', 'c'], answer: 'z' };
  const tokenizer = WordTokenizer.fromSamples([sample]);
  const options = { latentsPerStep: 2, maxLatentStage: 3, padLatents: true, endMarker: 'latents' } as const;
  const steps = (mode: Mode, stage: number) =>
    withSteps(rowOf(sample, tokenizer, mode, stage, options), sample, tokenizer, options).steps!.map(step =>
      tokenizer.decode(step),
    );

  it('say of each latent which step it stands for, and of padding that it stands for none', () => {
    expect(steps('coconut', 0)).toEqual([]);
    expect(steps('coconut', 1)).toEqual(['a b', 'a b']);
    expect(steps('coconut', 2)).toEqual(['a b', 'a b', 'c', 'c']);
    expect(steps('coconut', 4)).toEqual(['a b', 'a b', 'c', 'c', '', '']);
    expect(steps('no-curriculum', 0)).toEqual(['a b', 'a b', 'c', 'c', '', '']);
    expect(steps('pause', 2)).toEqual([]);
  });
});

describe('rows of any sample', () => {
  const words = fc.array(fc.constantFrom('one', 'two', 'three', 'x', 'y', '.'), {
    minLength: 1,
    maxLength: 4,
  });
  const text = words.map(list => list.join(' '));
  const samples = fc.record({ question: text, steps: fc.array(text, { maxLength: 5 }), answer: text });
  const curricula = fc.record({
    latentsPerStep: fc.integer({ min: 1, max: 3 }),
    maxLatentStage: fc.integer({ min: 0, max: 4 }),
    padLatents: fc.boolean(),
    endMarker: fc.constantFrom('latents' as const, 'always' as const),
    icotTokens: fc.integer({ min: 1, max: 9 }),
  });
  const modes = fc.constantFrom(...MODES);
  const stages = fc.integer({ min: 0, max: 7 });
  const textOf = ({ labels }: { labels: readonly number[] }): number[] => labels.filter(label => label !== N);

  it('end in the text of cot or a part of it, all of it labelled and nothing else', () => {
    fc.assert(
      fc.property(samples, curricula, modes, stages, (of, options, mode, stage) => {
        const made = rowOf(of, tokenizer, mode, stage, options);
        const prompt = promptOf(of, tokenizer, mode, stage, options);
        const whole = textOf(rowOf(of, tokenizer, 'cot', stage, options));
        const answer = textOf(rowOf(of, tokenizer, 'no-cot', stage, options));
        const own = textOf(made);
        expect(made.tokens).toEqual([...prompt.tokens, ...own]);
        expect(made.labels.slice(0, prompt.tokens.length).every(label => label === N)).toBe(true);
        expect(whole.slice(-own.length)).toEqual(own);
        expect(own.slice(-answer.length)).toEqual(answer);
      }),
    );
  });

  it('have latents or pauses, each in its columns, as the mode says', () => {
    fc.assert(
      fc.property(samples, curricula, modes, stages, (of, options, mode, stage) => {
        const made = promptOf(of, tokenizer, mode, stage, options);
        const { start, count } = made.pauses ?? { start: made.latentStart, count: made.latents };
        const columns = [...made.tokens.keys()].filter(t => made.tokens[t] === tokenizer.latent);
        expect(columns).toEqual(Array.from({ length: count }, (_, i) => start + i));
        expect(silentIn(made)).toBe(count);
        expect(made.pauses !== undefined).toBe(FORMS[mode].instead === 'pauses' && count > 0);
        const bare = withoutLatents(made);
        expect(bare.tokens).toEqual(made.tokens.filter(id => id !== tokenizer.latent));
        expect(silentIn(bare)).toBe(0);
      }),
    );
  });

  it('are the same in modes that mean the same', () => {
    fc.assert(
      fc.property(samples, curricula, stages, (of, options, stage) => {
        const at = (mode: Mode, at: number, changes = {}) =>
          rowOf(of, tokenizer, mode, at, { ...options, ...changes });
        const cot = at('cot', 0);
        const steps = textOf(cot).length - textOf(at('no-cot', 0)).length;
        expect(at('no-thought', 0)).toEqual(cot);
        expect(at('icot', 0)).toEqual(cot);
        expect(at('icot', 1, { icotTokens: Math.max(1, steps) })).toEqual(at('no-cot', 0));
        expect(at('no-thought', options.maxLatentStage + 1)).toEqual(at('no-cot', 0));
        expect(at('no-curriculum', stage)).toEqual(at('coconut', options.maxLatentStage + 1));
        const [pause, coconut] = [at('pause', stage), at('coconut', stage)];
        expect([pause.tokens, pause.labels]).toEqual([coconut.tokens, coconut.labels]);
        expect(textOf(at('no-thought', stage))).toEqual(textOf(coconut));
      }),
    );
  });

  it('are never longer than the longest one says, and one is as long', () => {
    fc.assert(
      fc.property(samples, curricula, modes, stages, (of, options, mode, last) => {
        const lengths = Array.from(
          { length: last + 1 },
          (_, stage) => rowOf(of, tokenizer, mode, stage, options).tokens.length,
        );
        expect(longestRow(of, tokenizer, mode, last, options)).toBe(Math.max(...lengths));
      }),
    );
  });
});

describe('prompts', () => {
  it('are the unlabelled part of the row', () => {
    for (const mode of MODES) {
      for (const stage of [0, 1, 2, 3, 4]) {
        for (const endMarker of ['latents', 'always'] as const) {
          const options = { ...base, endMarker };
          const row = rowOf(sample, tokenizer, mode, stage, options);
          const prompt = promptOf(sample, tokenizer, mode, stage, options);
          const labelled = row.labels.findIndex(label => label !== -100);
          expect(prompt.tokens).toEqual(row.tokens.slice(0, labelled));
          expect([prompt.latentStart, prompt.latents]).toEqual([row.latentStart, row.latents]);
          expect(row.labels.slice(labelled)).not.toContain(-100);
        }
      }
    }
  });

  it('keep their markers when the latents are taken out', () => {
    const prompt = withoutLatents(promptOf(sample, tokenizer, 'coconut', 3, base));
    expect(tokenizer.decode(prompt.tokens)).toBe('q q <|start-latent|> <|end-latent|>');
    expect([prompt.latentStart, prompt.latents]).toEqual([-1, 0]);
    const pauses = withoutLatents(promptOf(sample, tokenizer, 'pause', 3, base));
    expect(pauses).toEqual(prompt);
    const plain = promptOf(sample, tokenizer, 'cot', 3, base);
    expect(withoutLatents(plain)).toEqual(plain);
  });
});

describe('drawStage', () => {
  const shares = (stage: number, probability: number, among?: number): number[] => {
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < 10_000; i++) counts[drawStage(randomFor(3, i), stage, probability, among)]! += 1e-4;
    return counts;
  };
  const close = (got: number[], expected: number[]): void => {
    for (const [stage, share] of expected.entries()) expect(Math.abs(got[stage]! - share)).toBeLessThan(0.02);
  };

  it('mixes in earlier stages, each as often', () => {
    close(shares(3, 0.3), [0.1, 0.1, 0.1, 0.7, 0]);
    close(shares(1, 1), [1, 0, 0, 0, 0]);
    expect(shares(3, 0)[3]).toBeCloseTo(1);
    expect(shares(0, 1)[0]).toBeCloseTo(1);
  });

  it("or draws from all stages, as the reference's uniform_prob does", () => {
    close(shares(1, 0.5, 4), [0.125, 0.625, 0.125, 0.125, 0]);
  });
});
