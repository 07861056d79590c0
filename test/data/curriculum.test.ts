import { describe, expect, it } from 'vitest';
import {
  type CurriculumOptions,
  drawStage,
  MODES,
  promptOf,
  rowOf,
  withoutLatents,
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
    expect(MODES).toEqual(['coconut', 'cot', 'no-cot']);
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
