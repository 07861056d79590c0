// How a model in a folder is asked: what its config says of its training, and what the user overrides. Knows modes
// and prompts; knows no device.
import type { Prompt } from '../data/batch.ts';
import { type CurriculumOptions, FORMS, MODES, type Mode, promptOf, rowOf } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { UserError } from '../errors.ts';
import { show } from '../json.ts';
import { type ModelConfig, TEXT_REASONING } from '../model/config.ts';

export interface Asking {
  readonly mode: Mode;
  readonly stage: number;
  readonly curriculum: CurriculumOptions;
}

/** What overrides the model's own config. */
export interface AskingFlags {
  readonly mode?: Mode | 'lm';
  /** Thoughts, or pauses in their place, instead of those the model was trained with. */
  readonly latents?: number;
}

/** Whether a model goes on with a text, as it was trained to or as a flag says, instead of answering questions. */
export function goesOn(config: ModelConfig, { mode }: AskingFlags): boolean {
  return (mode ?? config.reasoning?.mode) === TEXT_REASONING.mode;
}

/** The mode, stage and curriculum that a model's prompts follow. Throws UserError where they are not known. */
export function askingOf(config: ModelConfig, flags: AskingFlags, dir: string): Asking {
  const trained = config.reasoning;
  const name = flags.mode ?? trained?.mode ?? (flags.latents === undefined ? undefined : 'coconut');
  if (name === undefined)
    throw new UserError(`${dir}/config.json does not say how the model was trained to think: give --mode`);
  if (name === TEXT_REASONING.mode)
    throw new UserError(
      `${dir}: a model of texts (lm) answers no questions: give --mode to ask it as another`,
    );
  const mode = MODES.find(known => known === name);
  if (!mode)
    throw new UserError(`${dir}/config.json: reasoning.mode is ${show(name)}, expected ${MODES.join(', ')}`);
  if ((flags.latents ?? 0) >= config.positions)
    throw new UserError(`latents ${flags.latents}: the model has only ${config.positions} positions`);
  const endMarker = trained?.endMarker ?? 'latents';
  const { instead } = FORMS[mode];
  if (instead === 'nothing') {
    if ((flags.latents ?? 0) > 0) throw new UserError(`latents ${flags.latents}: a ${mode} model has none`);
  } else if (flags.latents === undefined && !trained)
    throw new UserError(
      `${dir}/config.json does not say how many ${instead === 'latents' ? 'thoughts' : 'pauses'} the model has: give --latents`,
    );
  if (!trained || (instead !== 'nothing' && flags.latents !== undefined))
    return afterTheLast(mode, flags.latents ?? 0, endMarker);
  const { stage, latentsPerStep, maxLatentStage, padLatents, icotTokens } = trained;
  const curriculum = { latentsPerStep, maxLatentStage, padLatents, endMarker };
  return { mode, stage, curriculum: icotTokens === undefined ? curriculum : { ...curriculum, icotTokens } };
}

/** As at the end of a curriculum: `count` latents or pauses, and no steps but in a mode that writes them to the end. */
function afterTheLast(mode: Mode, count: number, endMarker: CurriculumOptions['endMarker']): Asking {
  const icotTokens = Number.POSITIVE_INFINITY;
  const curriculum = { latentsPerStep: 1, maxLatentStage: count, padLatents: true, endMarker, icotTokens };
  return { mode, stage: count + 1, curriculum };
}

/**
 * The prompt of a question without a known answer. Throws UserError, naming `where`, on words that the tokenizer lacks
 * and on more tokens than the model has positions.
 */
export function promptFor(
  question: string,
  tokenizer: Tokenizer,
  config: ModelConfig,
  asking: Asking,
  where = 'the question',
): Prompt {
  checkWords(question, tokenizer, where);
  const { mode, stage, curriculum } = asking;
  const prompt = promptOf({ question, steps: [], answer: '' }, tokenizer, mode, stage, curriculum);
  return fitting(prompt, config, where);
}

/** The beginning of a text, for a model that goes on with it. Throws UserError as promptFor does. */
export function promptOfText(
  text: string,
  tokenizer: Tokenizer,
  config: ModelConfig,
  where = 'the text',
): Prompt {
  checkWords(text, tokenizer, where);
  return fitting({ tokens: tokenizer.encode(text), latentStart: -1, latents: 0 }, config, where);
}

function checkWords(text: string, tokenizer: Tokenizer, where: string): void {
  const unknown = text.split(/\s+/).filter(word => tokenizer.encode(word).includes(tokenizer.unknown));
  if (unknown.length > 0)
    throw new UserError(
      `${where}: the model does not know "${[...new Set(unknown)].slice(0, 5).join('", "')}"`,
    );
  if (tokenizer.encode(text).length === 0) throw new UserError(`${where} is empty`);
}

function fitting(prompt: Prompt, { positions }: ModelConfig, where: string): Prompt {
  if (prompt.tokens.length >= positions)
    throw new UserError(
      `${where}: ${prompt.tokens.length} tokens leave no room in the model's ${positions} positions`,
    );
  return prompt;
}

/** Refuses samples that the model cannot read, before anything is computed. Throws UserError naming `file`. */
export function checkSamples(
  samples: readonly Sample[],
  tokenizer: Tokenizer,
  { mode, stage, curriculum }: Asking,
  config: ModelConfig,
  file: string,
): void {
  for (const [i, sample] of samples.entries()) {
    const { tokens } = rowOf(sample, tokenizer, mode, stage, curriculum);
    if (tokens.length > config.positions)
      throw new UserError(
        `${file}: item ${i} makes ${tokens.length} tokens, the model has ${config.positions} positions`,
      );
    if (tokens.includes(tokenizer.unknown))
      throw new UserError(`${file}: item ${i} has words that the model's tokenizer.json lacks`);
  }
}
