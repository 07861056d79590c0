// What a model would say next, made to speak after its first k thoughts: the distribution over its next word, and over
// the nodes of a search by name. Knows prompts, names and logits; knows nothing of what is concluded from them.
import { collatePrompts, type Prompt } from '../data/batch.ts';
import { type CurriculumOptions, promptOf } from '../data/curriculum.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Gpt, rowsThatFit } from '../model/gpt.ts';
import { type Control, controlFeed, NO_CONTROL } from './control.ts';
import { generate } from './generate.ts';
import { partsOf } from './parts.ts';
import { type Form, formOf, sentenceEdge } from './search.ts';

/** A prompt that ends where the next concept would begin. */
export interface Speech {
  readonly prompt: Prompt;
  /** Whether the concept is one of a step that is left, or of the answer. */
  readonly asks: 'step' | 'answer';
  /** Hops from the root to where the concept of a right step lies; 0 for an answer, which lies at the target. */
  readonly depth: number;
  /** The text before the concept's name in its step or answer; a name is a continuation of it. */
  readonly lead: string;
}

/**
 * Made to speak after the thoughts of `stage`, in the row that the curriculum trains at that stage: the next step, or
 * the answer where no step is left.
 *
 * In `words` a step is the node that it arrives at: with `stage` steps replaced, the next lies `stage` + 1 hops from
 * the root. A sentence first names where it departs from (`Every parent is a child.`), `stage` hops from the root; but
 * the first sentence departs from the root, so there the child is asked for, one hop away. That is the paper's measure
 * (arXiv 2412.06769, section 5: the concept after "Every").
 */
export function speechAfter(
  sample: Sample,
  tokenizer: Tokenizer,
  stage: number,
  curriculum: CurriculumOptions,
): Speech {
  const prompt = promptOf(sample, tokenizer, 'coconut', stage, curriculum);
  const step = stage > curriculum.maxLatentStage ? undefined : sample.steps[stage];
  const asks = step === undefined ? 'answer' : 'step';
  const form = formOf(sample);
  const lead = leadOf(step ?? sample.answer, form, step !== undefined && stage > 0);
  const marker = step === undefined ? [tokenizer.marker] : [];
  const tokens = [...prompt.tokens, ...marker, ...saidIn(asks, lead, tokenizer)];
  const hops = form === 'words' ? stage + 1 : Math.max(1, stage);
  return { prompt: { ...prompt, tokens }, asks, depth: asks === 'step' ? hops : 0, lead };
}

/** The part of a step or answer before the concept that counts: the subject after "Every", else the last word. */
function leadOf(text: string, form: Form, subject: boolean): string {
  const edge = form === 'sentences' ? sentenceEdge(text) : undefined;
  if (!edge) return '';
  const [parent, child] = edge;
  return (subject ? text.slice(0, text.indexOf(parent)) : text.slice(0, text.lastIndexOf(child))).trim();
}

export interface SpeechOptions {
  /** Most rows at once. */
  readonly batch: number;
  /** What is done to the thoughts; nothing by default. */
  readonly control?: Control;
}

/** Of each prompt: the log-probabilities [V] of the token after it. */
export async function nextTokens(
  model: Gpt,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  { batch, control = NO_CONTROL }: SpeechOptions,
): Promise<Float64Array[]> {
  const longest = Math.max(...prompts.map(({ tokens }) => tokens.length));
  const most = Math.min(batch, rowsThatFit(model.parameters.gpu, model.config, longest));
  const spoken: Float64Array[] = [];
  for (const part of partsOf(prompts, most)) {
    const rows = collatePrompts(
      part.map(index => prompts[index]!),
      tokenizer.pad,
    );
    const feed = controlFeed(model, control, part, 0);
    const made = await generate(model, rows, { maxTokens: 1, eos: tokenizer.eos, logits: true, feed });
    for (const [b, index] of part.entries()) spoken[index] = logSoftmax(made.logits[b]![0]!);
  }
  return spoken;
}

/**
 * Of each speech: the probability of each of its names as what is said next, the product of the probabilities of the
 * name's tokens. `spoken` is what `nextTokens` gives for the speeches; names of several tokens need a row more for each
 * of their beginnings.
 */
export async function nameValues(
  model: Gpt,
  tokenizer: Tokenizer,
  speeches: readonly Speech[],
  spoken: readonly Float64Array[],
  names: readonly (readonly string[])[],
  options: SpeechOptions,
): Promise<Float64Array[]> {
  const spelt = speeches.map((speech, i) => names[i]!.map(name => spelling(name, speech, tokenizer)));
  const begun = spelt.flatMap((all, i) => {
    const keys = new Set(
      all.flatMap(tokens => tokens.slice(1).map((_, end) => tokens.slice(0, end + 1).join())),
    );
    return [...keys].map(key => ({ i, key, said: key.split(',').map(Number) }));
  });
  const prompts = begun.map(({ i, said }) => {
    const { prompt } = speeches[i]!;
    return { ...prompt, tokens: [...prompt.tokens, ...said] };
  });
  const after = prompts.length === 0 ? [] : await nextTokens(model, tokenizer, prompts, options);
  const next = speeches.map((_, i) => new Map([['', spoken[i]!]]));
  for (const [at, { i, key }] of begun.entries()) next[i]!.set(key, after[at]!);
  return spelt.map((all, i) =>
    Float64Array.from(all, tokens =>
      Math.exp(tokens.reduce((sum, token, t) => sum + next[i]!.get(tokens.slice(0, t).join())![token]!, 0)),
    ),
  );
}

/** The tokens that a name adds to the text before it. */
function spelling(name: string, { asks, lead }: Speech, tokenizer: Tokenizer): number[] {
  const before = saidIn(asks, lead, tokenizer).length;
  return saidIn(asks, lead === '' ? name : `${lead} ${name}`, tokenizer).slice(before);
}

/** The beginning of a step or of an answer, as tokens. */
function saidIn(asks: Speech['asks'], text: string, tokenizer: Tokenizer): number[] {
  if (text === '') return [];
  return asks === 'answer' ? tokenizer.encodePart('answer', text) : tokenizer.encode(text);
}

/** In float64, so that what differs little can be told apart. */
export function logSoftmax(logits: Float32Array): Float64Array {
  const most = logits.reduce((a, x) => Math.max(a, x), Number.NEGATIVE_INFINITY);
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0)) + most;
  return Float64Array.from(logits, x => x - total);
}

/** KL(p ‖ q) in nats, of distributions given by their logarithms. */
export function divergence(p: Float64Array, q: Float64Array): number {
  let sum = 0;
  for (const [i, value] of p.entries()) if (value > -1000) sum += Math.exp(value) * (value - q[i]!);
  return Math.max(0, sum);
}
