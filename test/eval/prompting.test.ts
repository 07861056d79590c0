// How a model of each mode is asked, by what its config says or does not say.
import { describe, expect, it } from 'vitest';
import { MODES, type Mode } from '../../src/data/curriculum.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { type AskingFlags, askingOf, promptFor } from '../../src/eval/prompting.ts';
import { formatConfig, type ModelConfig, parseConfig, type Reasoning } from '../../src/model/config.ts';
import { configFor } from '../../src/train/fresh-model.ts';

const tokenizer = WordTokenizer.fromWords(['a', 'b', '?']);
const plain = configFor(tokenizer, { width: 8, heads: 1, layers: 1 }, 24);
const trainedIn = (mode: string, changes: Partial<Reasoning> = {}): ModelConfig => ({
  ...plain,
  reasoning: {
    ...{ mode, stage: 3, latentsPerStep: 1, maxLatentStage: 2, padLatents: true, endMarker: 'latents' },
    ...changes,
  },
});
/** The prompt in words, then where the recurrence is. */
function asked(config: ModelConfig, flags: AskingFlags = {}): [string, number, number] {
  const { tokens, latentStart, latents } = promptFor(
    'a b ?',
    tokenizer,
    config,
    askingOf(config, flags, 'm'),
  );
  const text = tokenizer.decode(tokens).replace(/<\|(start|end)?-?latent\|>/g, (_, kind) => kind ?? 'L');
  return [text, latentStart, latents];
}

/** `question` of a mode with n latents or pauses. */
const LATENTS: readonly Mode[] = ['coconut', 'no-curriculum'];
const PAUSES: readonly Mode[] = ['pause'];
const row = (mode: Mode, n: number): [string, number, number] => {
  if (LATENTS.includes(mode)) return [`a b? start${' L'.repeat(n)} end`, 4, n];
  if (PAUSES.includes(mode)) return [`a b? start${' L'.repeat(n)} end`, -1, 0];
  return ['a b?', -1, 0];
};

describe.each(MODES)('a %s model', mode => {
  const thinks = LATENTS.includes(mode) || PAUSES.includes(mode);

  it('is asked as its config says it was trained', () => {
    const whole = trainedIn(mode);
    expect(asked(whole)).toEqual(row(mode, 2));
    expect(asked(trainedIn(mode, { latentsPerStep: 2 }))).toEqual(row(mode, 4));
    const early = asked(trainedIn(mode, { stage: 1 }));
    expect(early).toEqual(row(mode, mode === 'no-curriculum' ? 2 : 1));
    // As a file, too.
    expect(asked(parseConfig(formatConfig(whole), 'x'))).toEqual(row(mode, 2));
  });

  it('has as many latents or pauses as are asked for, if it can have any', () => {
    if (thinks)
      for (const config of [trainedIn(mode), plain])
        expect(asked(config, { mode, latents: 5 })).toEqual(row(mode, 5));
    else {
      expect(() => asked(trainedIn(mode), { latents: 5 })).toThrow(`latents 5: a ${mode} model has none`);
      expect(asked(trainedIn(mode), { latents: 0 })).toEqual(row(mode, 0));
    }
  });

  it('must be told how many where its config says nothing', () => {
    expect(() => asked(plain)).toThrow('m/config.json does not say how the model was trained to think');
    if (thinks)
      expect(() => asked(plain, { mode })).toThrow(
        `m/config.json does not say how many ${mode === 'pause' ? 'pauses' : 'thoughts'} the model has: give --latents`,
      );
    else expect(asked(plain, { mode })).toEqual(row(mode, 0));
  });

  it('may be asked in its way although it was trained in another', () => {
    expect(asked(trainedIn('coconut'), { mode })).toEqual(row(mode, 2));
  });
});

it('icot knows how many tokens a stage dropped, and all are gone where nothing is said', () => {
  const config = trainedIn('icot', { stage: 2, icotTokens: 3 });
  const { curriculum } = askingOf(parseConfig(formatConfig(config), 'x'), {}, 'm');
  expect(curriculum.icotTokens).toBe(3);
  expect(askingOf(plain, { mode: 'icot' }, 'm').curriculum.icotTokens).toBe(Number.POSITIVE_INFINITY);
});

it('refuses a mode that it does not know', () => {
  expect(() => asked(trainedIn('daydream'))).toThrow(
    'm/config.json: reasoning.mode is "daydream", expected coconut, cot, no-cot, no-thought, pause, no-curriculum, icot',
  );
});
