// What a model's thoughts are as vectors and as words: their lengths beside those of token embeddings, how near they
// lie to the token that their step begins with, how sure the head is of them. Knows prompts and hidden states; knows no
// scoring.
import { collatePrompts, type Prompt } from '../data/batch.ts';
import type { Sample } from '../data/sample.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Gpt, rowsThatFit } from '../model/gpt.ts';
import { read } from '../tensor.ts';
import { type Feed, generate } from './generate.ts';
import { partsOf } from './parts.ts';

/** The thoughts of one row, in order. */
export interface Thinking {
  /** What was fed back, [C] each. */
  readonly states: readonly Float32Array[];
  /** Probabilities [V] under the model's own head. */
  readonly words: readonly Float32Array[];
}

export async function think(
  model: Gpt,
  tokenizer: Tokenizer,
  prompts: readonly Prompt[],
  batch: number,
): Promise<Thinking[]> {
  const longest = Math.max(...prompts.map(({ tokens }) => tokens.length));
  const most = Math.min(batch, rowsThatFit(model.parameters.gpu, model.config, longest));
  const thinking: Thinking[] = [];
  for (const part of partsOf(prompts, most)) {
    const reads: Promise<Float32Array>[] = [];
    const feed: Feed = (fed, _thought, index) => {
      reads[index] = read(fed);
      return fed;
    };
    const rows = collatePrompts(
      part.map(index => prompts[index]!),
      tokenizer.pad,
    );
    const made = await generate(model, rows, { maxTokens: 1, eos: tokenizer.eos, thoughts: true, feed });
    const states = await Promise.all(reads);
    const C = model.config.width;
    for (const [b, index] of part.entries())
      thinking[index] = {
        states: states.map(state => state.slice(b * C, (b + 1) * C)),
        words: made.thoughts[b] ?? [],
      };
  }
  return thinking;
}

export interface ThoughtNorms {
  /** Of the embeddings of all tokens that the samples are written with. */
  readonly tokens: { readonly mean: number; readonly deviation: number };
  readonly thoughts: readonly ThoughtNorm[];
}

/** Means over the samples that have the thought. */
export interface ThoughtNorm {
  /** From 1. */
  readonly thought: number;
  /** Length of what is fed back. */
  readonly norm: number;
  readonly deviation: number;
  /** Its cosine with the embedding of the token that the step it stands for begins or goes on with; null without steps. */
  readonly cosine: number | null;
}

export interface ThoughtEntropy {
  readonly thought: number;
  /** Entropy of the head's distribution over tokens, in nats. */
  readonly nats: number;
  /** Probability of the likeliest token. */
  readonly peak: number;
}

/** `latentsPerStep`: thoughts that stand for one step; the i-th of them for the step's i-th token. */
export async function thoughtNorms(
  model: Gpt,
  tokenizer: Tokenizer,
  samples: readonly Sample[],
  thinking: readonly Thinking[],
  latentsPerStep: number,
): Promise<ThoughtNorms> {
  const C = model.config.width;
  const table = await read(model.parameter('wte.weight'));
  const embedding = (id: number): Float32Array => table.subarray(id * C, (id + 1) * C);
  const used = new Set(
    samples.flatMap(({ question, steps, answer }) =>
      [question, ...steps, answer].flatMap(text => tokenizer.encode(text)),
    ),
  );
  const tokens = spread([...used].map(id => norm(embedding(id))));
  const thoughts = byThought(thinking, ({ states }) => states).map((states, p): ThoughtNorm => {
    const cosines = states.flatMap(({ index, item }) => {
      const step = samples[index]!.steps[Math.floor(p / latentsPerStep)];
      const token = step === undefined ? undefined : tokenizer.encode(step)[p % latentsPerStep];
      return token === undefined ? [] : [cosine(item, embedding(token))];
    });
    const { mean: length, deviation } = spread(states.map(({ item }) => norm(item)));
    return {
      thought: p + 1,
      norm: length,
      deviation,
      cosine: cosines.length > 0 ? mean(cosines) : null,
    };
  });
  return { tokens, thoughts };
}

export function thoughtEntropy(thinking: readonly Thinking[]): ThoughtEntropy[] {
  return byThought(thinking, ({ words }) => words).map((words, p) => ({
    thought: p + 1,
    nats: mean(words.map(({ item }) => item.reduce((sum, x) => (x > 0 ? sum - x * Math.log(x) : sum), 0))),
    peak: mean(words.map(({ item }) => item.reduce((a, x) => Math.max(a, x), 0))),
  }));
}

/** For each thought: what the rows that have it have of it. */
function byThought<T>(
  thinking: readonly Thinking[],
  itemsOf: (row: Thinking) => readonly T[],
): { index: number; item: T }[][] {
  const most = Math.max(0, ...thinking.map(row => itemsOf(row).length));
  return Array.from({ length: most }, (_, p) =>
    thinking.flatMap((row, index) => {
      const item = itemsOf(row)[p];
      return item === undefined ? [] : [{ index, item }];
    }),
  );
}

export function norm(x: Float32Array): number {
  return Math.sqrt(dot(x, x));
}

function cosine(x: Float32Array, y: Float32Array): number {
  return dot(x, y) / (norm(x) * norm(y));
}

function dot(x: Float32Array, y: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, x) => a + x, 0) / values.length;
}

function spread(values: readonly number[]): { mean: number; deviation: number } {
  const middle = mean(values);
  return { mean: middle, deviation: Math.sqrt(mean(values.map(x => (x - middle) ** 2))) };
}
