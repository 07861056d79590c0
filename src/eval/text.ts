// How well a model goes on with a text: the cross-entropy of every token after those before it in its row. Knows rows
// and the model; knows no trainer.
import { collate, type Row } from '../data/batch.ts';
import { type Gpt, rowsThatFit } from '../model/gpt.ts';
import { headLoss } from '../model/head-loss.ts';
import { LatentRow, labelledRows, passes } from '../model/latent.ts';
import { Tape } from '../tape.ts';
import { read, type Tensor } from '../tensor.ts';

/** A part of a text that is not learnt. */
export interface HeldOut {
  readonly rows: readonly Row[];
  /** Bytes of UTF-8 that a token stands for on average. */
  readonly bytesPerToken: number;
}

export interface TextScore {
  /** Tokens predicted. */
  readonly tokens: number;
  /** Mean cross-entropy of a token, in nats. */
  readonly loss: number;
  /** The same in bits a byte of the text, which models of different tokenizers can be compared by. */
  readonly bitsPerByte: number;
}

/** Scores rows without latents, at most `most` at once. */
export async function scoreText(
  model: Gpt,
  { rows, bytesPerToken }: HeldOut,
  padId: number,
  most: number,
): Promise<TextScore> {
  const { gpu } = model.parameters;
  const longest = Math.max(...rows.map(({ tokens }) => tokens.length));
  const size = Math.min(most, rowsThatFit(gpu, model.config, longest));
  let sum = 0;
  let tokens = 0;
  for (let at = 0; at < rows.length; at += size) {
    const part = await partScore(model, rows.slice(at, at + size), padId);
    sum += part.loss * part.tokens;
    tokens += part.tokens;
  }
  const loss = sum / tokens;
  return { tokens, loss, bitsPerByte: loss / Math.LN2 / bytesPerToken };
}

/** Mean cross-entropy over the labels of rows that are run at once. */
async function partScore(
  model: Gpt,
  rows: readonly Row[],
  padId: number,
): Promise<{ loss: number; tokens: number }> {
  const batch = collate(rows, padId);
  const labelled = labelledRows(batch, model.config.vocabSize);
  const tape = new Tape(model.parameters.gpu);
  const row = new LatentRow(tape, model, batch);
  try {
    let loss: Tensor | undefined;
    row.run(
      passes(batch.T, batch.T, 0, 'full').map(pass => ({ ...pass, recorded: false })),
      pass => pass.t0,
      hidden => {
        const own = (tensor: Tensor): Tensor => row.own(tensor);
        loss = tape.noGrad(() => headLoss(tape, model, hidden, labelled, 1 / labelled.length, own));
      },
    );
    return { loss: (await read(loss!))[0]!, tokens: labelled.length };
  } finally {
    tape.discard();
    row.release();
  }
}

/** The mean number of tokens that a model hesitates between. */
export function perplexity({ loss }: Pick<TextScore, 'loss'>): number {
  return Math.exp(loss);
}
