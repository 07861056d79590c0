// Batched generation with a K/V cache: prompts with or without latents, then token after token, all on the device.
// Knows the model and the recurrence; knows no tokenizer and no scoring.
import type { Batch } from '../data/batch.ts';
import { randomFor } from '../data/random.ts';
import type { Gpt } from '../model/gpt.ts';
import { LatentRow, passes } from '../model/latent.ts';
import { PUBLISHED } from '../model/recurrence.ts';
import { embedding } from '../ops/embedding.ts';
import { argmax, sample } from '../ops/sample.ts';
import { sliceRows } from '../ops/slice-rows.ts';
import { Tape } from '../tape.ts';
import { read, readU32, type Tensor, upload } from '../tensor.ts';

/**
 * What is fed back: called as LatentRow.run calls its `feed`. A tensor other than the two that it is given is freed by
 * whoever called.
 */
export type Feed = (fed: Tensor, thought: Tensor, index: number) => Tensor | undefined;

export interface GenerateOptions {
  /** Most tokens written after the prompt, the end token included. */
  readonly maxTokens: number;
  /** Ends a row. */
  readonly eos: number;
  /** 0 (the default) takes the most likely token. */
  readonly temperature?: number;
  /** Only the k most likely are drawn from; 0 (the default) = all. */
  readonly topK?: number;
  readonly seed?: number;
  /** Also return, for each thought, the probabilities [B, V] of the tokens it would be as an output. */
  readonly thoughts?: boolean;
  /** Also return the logits of every token written. */
  readonly logits?: boolean;
  /** What is fed back in the place of each thought; the thought itself by default. */
  readonly feed?: Feed | undefined;
}

export interface Generated {
  /** Tokens a row, the end token left out. */
  readonly tokens: readonly number[][];
  /** Whether the row ended by itself. */
  readonly ended: readonly boolean[];
  /** Thought p of row b: probabilities [V] under the model's own head. */
  readonly thoughts: readonly (readonly Float32Array[])[];
  /** Step s of row b: logits [V], those after the row's own end included; empty unless asked for. */
  readonly logits: readonly (readonly Float32Array[])[];
}

/** Tokens generated between two looks at whether all rows have ended: a look waits for the device. */
const LOOK_EVERY = 4;

/**
 * Continues every row of a batch of prompts that end in its last column. A row's positions go on from its own
 * length. Stops when all rows have ended, after `maxTokens`, or where the model has no more positions.
 */
export async function generate(model: Gpt, prompts: Batch, options: GenerateOptions): Promise<Generated> {
  const { gpu } = model.parameters;
  const { B, T, latentStart, latents } = prompts;
  const n = latents.reduce((most, count) => Math.max(most, count), 0);
  const lengths = Array.from(prompts.first, first => T - first);
  const room = model.config.positions - Math.max(...lengths) + 1;
  const count = Math.min(options.maxTokens, room);
  const tape = new Tape(gpu);
  const row = new LatentRow(tape, model, prompts, { columns: T + Math.max(0, count - 1) });
  const written: Tensor[] = [];
  try {
    // By thought; where the schedule refines thoughts, the last that was made of each counts.
    const heads: Tensor[] = [];
    const logitReads: Promise<Float32Array>[] = [];
    let ids: Tensor | undefined;
    const choose = (hidden: Tensor, step: number): Tensor => {
      const logits = tape.noGrad(() => model.logits(tape, hidden));
      if (options.logits) logitReads.push(read(logits));
      const chosen = pick(logits, step, options);
      written.push(chosen);
      return chosen;
    };
    const feed: Feed = (fed, thought, index) => {
      if (options.thoughts) heads[index] = tape.noGrad(() => model.logits(tape, thought));
      const given = options.feed ? options.feed(fed, thought, index) : fed;
      return given && given !== fed && given !== thought ? row.own(given) : given;
    };
    const { schedule } = model.config.recurrence ?? PUBLISHED;
    const plan = passes(T, latentStart, n, 'full', schedule).map(pass => ({ ...pass, recorded: false }));
    row.run(
      plan,
      pass => (pass.t1 === T ? T - 1 : pass.t1),
      (hidden, pass, from) => {
        if (pass.t1 !== T) return;
        ids = choose(hidden.shape[0]! === B ? hidden : lastColumn(tape, hidden, pass.t1 - from, B), 0);
      },
      options.thoughts || options.feed ? feed : undefined,
    );
    const thoughts = await Promise.all(heads.map(async logits => rowSoftmax(await read(logits), B)));

    let done = false;
    for (let step = 1; step < count && !done; step++) {
      const positions = upload(
        gpu,
        Uint32Array.from(lengths, length => length + step - 1),
        [B],
      );
      const attrs = { ids: ids!, positions, plans: undefined };
      const hidden = tape.noGrad(() => {
        const wte = model.parameter('wte.weight');
        const x = tape.apply(embedding, { wte, wpe: model.parameter('wpe.weight') }, attrs);
        return model.forward(tape, x, row.state, { t0: T + step - 1 });
      });
      ids = choose(hidden, step);
      positions.free();
      tape.discard();
      if (step % LOOK_EVERY === 0) done = allEnded(await readAll(written), options.eos);
    }
    const columns = await readAll(written);
    const logits = (await Promise.all(logitReads)).map(step => rowsOf(step, B));
    return {
      ...cut(columns, B, options.eos),
      thoughts: transpose(thoughts, B),
      logits: transpose(logits, B),
    };
  } finally {
    for (const tensor of written) tensor.free();
    tape.discard();
    row.release();
  }
}

function pick(
  logits: Tensor,
  step: number,
  { temperature = 0, topK = 0, seed = 0 }: GenerateOptions,
): Tensor {
  const { gpu } = logits;
  if (temperature === 0) return argmax(gpu, logits);
  const random = randomFor(seed, step);
  const B = logits.shape[0]!;
  const uniforms = upload(
    gpu,
    Float32Array.from({ length: B }, () => random.float()),
    [B],
  );
  const chosen = sample(gpu, logits, uniforms, { temperature, topK });
  uniforms.free();
  return chosen;
}

function lastColumn(tape: Tape, hidden: Tensor, columns: number, B: number): Tensor {
  return tape.apply(sliceRows, { x: hidden }, { from: (columns - 1) * B, to: columns * B });
}

function readAll(written: readonly Tensor[]): Promise<Uint32Array[]> {
  return Promise.all(written.map(readU32));
}

function allEnded(columns: readonly Uint32Array[], eos: number): boolean {
  return columns[0]!.every((_, b) => columns.some(column => column[b] === eos));
}

function cut(
  columns: readonly Uint32Array[],
  B: number,
  eos: number,
): { tokens: number[][]; ended: boolean[] } {
  const rows = Array.from({ length: B }, (_, b) => columns.map(column => column[b]!));
  const ends = rows.map(tokens => tokens.indexOf(eos));
  return {
    tokens: rows.map((tokens, b) => (ends[b]! < 0 ? tokens : tokens.slice(0, ends[b]))),
    ended: ends.map(end => end >= 0),
  };
}

function rowsOf(values: Float32Array, B: number): Float32Array[] {
  const width = values.length / B;
  return Array.from({ length: B }, (_, b) => values.slice(b * width, (b + 1) * width));
}

/** Softmax of each of B rows. */
function rowSoftmax(logits: Float32Array, B: number): Float32Array[] {
  return rowsOf(logits, B).map(row => {
    const most = row.reduce((a, x) => Math.max(a, x), -Infinity);
    const powers = row.map(x => Math.exp(x - most));
    const total = powers.reduce((a, x) => a + x, 0);
    return powers.map(x => x / total);
  });
}

function transpose<T>(byThought: readonly (readonly T[])[], B: number): T[][] {
  return Array.from({ length: B }, (_, b) => byThought.map(thought => thought[b]!));
}
