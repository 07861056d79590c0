// A model that can be asked: weights on a device, its tokenizer, and the way it was trained to think. Knows questions
// and answers as text; knows no files and no platform.
import { collatePrompts, type Prompt } from '../data/batch.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { UserError } from '../errors.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ModelFiles } from '../model/folder.ts';
import { Gpt } from '../model/gpt.ts';
import { Parameters } from '../model/parameters.ts';
import { type Control, checkControl, controlFeed, NO_CONTROL } from './control.ts';
import { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.ts';
import { generate } from './generate.ts';
import { openModel } from './open.ts';
import {
  type Asking,
  type AskingFlags,
  askingOf,
  checkSamples,
  goesOn,
  promptFor,
  promptOfText,
} from './prompting.ts';

export interface AskOptions extends AskingFlags {
  /** Most tokens to write, the end token included; 64 by default. */
  readonly maxTokens?: number;
  /** 0 (the default) takes the likeliest token. */
  readonly temperature?: number;
  /** Draw from the k likeliest only; 0 (the default) = all. */
  readonly topK?: number;
  readonly seed?: number;
  /** What is done to the thoughts: `shuffle` and `no-latent` ask for `evaluate`. */
  readonly control?: Control;
  /** Also give the logits of every token written. */
  readonly logits?: boolean;
}

export interface Answer {
  /** All that the model wrote, the end token left out. */
  readonly text: string;
  readonly tokens: readonly number[];
  readonly prompt: Prompt;
  /** Of each thought: the probabilities [V] of the tokens that it would be under the model's own head. */
  readonly thoughts: readonly Float32Array[];
  /** Of each token written and of the end token: logits [V]; empty unless asked for. */
  readonly logits: readonly Float32Array[];
}

export class Reasoner {
  /** What messages call the model. */
  readonly name: string;
  readonly model: Gpt;
  readonly tokenizer: Tokenizer;

  /** Copies the weights to `gpu`. Throws UserError where the files do not fit together, GpuOutOfMemoryError. */
  constructor(gpu: Gpu, files: ModelFiles, name: string) {
    const markers = goesOn(files.config, {}) ? 'as they are' : 'added';
    const { config, weights, tokenizer } = openModel(files, name, markers);
    this.name = name;
    this.tokenizer = tokenizer;
    const parameters = new Parameters(gpu, config);
    parameters.load(weights);
    this.model = new Gpt(parameters);
  }

  get config(): ModelConfig {
    return this.model.config;
  }

  /** How the model is asked, with what `flags` override. Throws UserError where its config does not say. */
  asking(flags: AskingFlags = {}): Asking {
    return askingOf(this.config, flags, this.name);
  }

  /** Asks one question, or has a model of texts go on with one. Throws UserError, naming `where`, where the model lacks a word of it, or room for it. */
  async ask(question: string, options: AskOptions = {}, where = 'the question'): Promise<Answer> {
    const { eos, pad } = this.tokenizer;
    const prompt = goesOn(this.config, options)
      ? promptOfText(question, this.tokenizer, this.config, where)
      : promptFor(question, this.tokenizer, this.config, this.asking(options), where);
    const { control = NO_CONTROL, seed = 0 } = options;
    if (control.control === 'no-latent')
      throw new UserError('control no-latent: needs the right answer; give the question as a sample');
    checkControl(control, prompt.latents, 1);
    const feed = controlFeed(this.model, control, [0], seed);
    const settings = { maxTokens: 64, ...options, eos, thoughts: true, feed };
    const made = await generate(this.model, collatePrompts([prompt], pad), settings);
    const tokens = made.tokens[0]!;
    return {
      text: this.tokenizer.decode(tokens),
      tokens,
      prompt,
      thoughts: made.thoughts[0] ?? [],
      logits: (made.logits[0] ?? []).slice(0, tokens.length + 1),
    };
  }

  /** Evaluates samples whose answers are known. Throws UserError, naming `where`, on samples that the model cannot read. */
  evaluate(
    samples: readonly Sample[],
    options: AskingFlags & Omit<EvaluateOptions, 'mode' | 'stage' | 'curriculum'>,
    where = 'samples',
  ): Promise<Evaluation> {
    const { mode: _mode, latents: _latents, ...rest } = options;
    const asking = this.asking(options);
    checkSamples(samples, this.tokenizer, asking, this.config, where);
    return evaluate(this.model, this.tokenizer, samples, { ...asking, ...rest });
  }

  /** Gives the weights' memory back; the model cannot be asked afterwards. */
  free(): void {
    this.model.parameters.free();
  }
}
