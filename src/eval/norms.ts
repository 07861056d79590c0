// How long what would be fed back is beside a token's embedding. Knows the model and prompts; knows no tokenizer.
import { collatePrompts, type Prompt } from '../data/batch.ts';
import type { Gpt } from '../model/gpt.ts';
import { LatentRow, passes } from '../model/latent.ts';
import { Tape } from '../tape.ts';
import { read } from '../tensor.ts';

export interface Norms {
  /** Mean Euclidean norm of the token embeddings [V, C]. */
  readonly token: number;
  /** Mean norm of the last hidden states [B, C] at the ends of the prompts: the first thoughts as they come. */
  readonly hidden: number;
}

/** Norms of a model on prompts without latents that end where the first thought would begin. */
export async function norms(model: Gpt, prompts: readonly Prompt[], padId: number): Promise<Norms> {
  const batch = collatePrompts(prompts, padId);
  const tape = new Tape(model.parameters.gpu);
  const row = new LatentRow(tape, model, batch);
  try {
    let last: Promise<Float32Array> | undefined;
    row.run(
      passes(batch.T, batch.T, 0, 'full').map(pass => ({ ...pass, recorded: false })),
      pass => pass.t1 - 1,
      hidden => {
        last = read(hidden);
      },
    );
    const { width: C } = model.config;
    return {
      token: meanNorm(await read(model.parameter('wte.weight')), C),
      hidden: meanNorm(await last!, C),
    };
  } finally {
    tape.discard();
    row.release();
  }
}

/** What hidden states are multiplied by to be as long as embeddings on average, to four digits. */
export function matchingScale({ token, hidden }: Norms): number {
  return Number((token / hidden).toPrecision(4));
}

/** The same as a line for people. */
export function normsLine({ token, hidden }: Norms): string {
  const times = (hidden / token).toPrecision(3);
  return `norms: a token's embedding ${token.toPrecision(3)}, the hidden state that is fed back ${hidden.toPrecision(3)}, ${times} times as long`;
}

function meanNorm(rows: Float32Array, C: number): number {
  let sum = 0;
  for (let at = 0; at < rows.length; at += C) {
    let squares = 0;
    for (let c = at; c < at + C; c++) squares += rows[c]! ** 2;
    sum += Math.sqrt(squares);
  }
  return sum / (rows.length / C);
}
