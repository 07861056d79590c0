// Generation after thoughts against generation of rows without them. Knows prompts and the generator; knows no files
// and no terminal.
import { collatePrompts } from '../../src/data/batch.ts';
import { generate } from '../../src/eval/generate.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { modelFor } from './model.ts';
import { pairedPrompts, type Size, tokenizerFor } from './rows.ts';
import { type Spread, spreadOf } from './spread.ts';
import { inTurns, type Rounds, ratios } from './steady.ts';

/** Milliseconds of one kind of row, for the whole batch. */
export interface RowFigures {
  /** From the prompt to the last of `tokens` tokens. */
  readonly ms: Spread;
  readonly tokens: number;
  /** Columns run one after another: latents and tokens. */
  readonly columns: number;
  /** A further token, at the end of the row. */
  readonly furtherMs: Spread;
}

export interface Generation {
  readonly size: string;
  readonly B: number;
  readonly n: number;
  /** The model thinks n times, then writes. */
  readonly latents: RowFigures;
  /** It writes n tokens in the thoughts' place, then as many as the others. */
  readonly written: RowFigures;
  /** The n tokens stand in the prompt. */
  readonly read: RowFigures;
  /** `latents` over `written`, a generated column; both have equally many. */
  readonly columnRatio: Spread;
  /** `latents` over `read`, a generated token, prompt and thoughts included. */
  readonly tokenRatio: Spread;
  /** `latents` over `read`, a further token. */
  readonly furtherRatio: Spread;
}

/** Tokens written by the shorter and the longer of two runs, whose difference is that of further tokens. */
const TOKENS = [8, 24] as const;

export async function measureGeneration(
  gpu: Gpu,
  size: Size,
  batch: number,
  rounds: Rounds,
  [short, long]: readonly [number, number] = TOKENS,
): Promise<Generation> {
  const n = size.options.hops[0];
  const prompts = pairedPrompts(size, batch);
  const { pad } = tokenizerFor(size);
  const model = modelFor(gpu, size, prompts.read[0]!.tokens.length + long);
  const kinds = [
    { prompts: collatePrompts(prompts.latents, pad), more: 0 },
    { prompts: collatePrompts(prompts.asked, pad), more: n },
    { prompts: collatePrompts(prompts.read, pad), more: 0 },
  ];
  const run = async ({ prompts, more }: (typeof kinds)[number], count: number): Promise<number> => {
    const start = performance.now();
    // No token has the number V: rows end where they are told to.
    await generate(model, prompts, { maxTokens: count + more, eos: model.config.vocabSize });
    return performance.now() - start;
  };
  for (const kind of kinds) await run(kind, short);
  const times: [Times, Times, Times] = [noTimes(), noTimes(), noTimes()];
  await inTurns(kinds.length, rounds, async i => {
    const brief = await run(kinds[i]!, short);
    const whole = await run(kinds[i]!, long);
    times[i]!.whole.push(whole);
    times[i]!.further.push((whole - brief) / (long - short));
  });
  model.parameters.free();
  const [latents, written, read] = times;
  const figures = ({ whole, further }: Times, columns: number): RowFigures => ({
    ms: spreadOf(whole),
    tokens: long,
    columns,
    furtherMs: spreadOf(further),
  });
  return {
    size: size.name,
    B: batch,
    n,
    latents: figures(latents, n + long),
    written: figures(written, n + long),
    read: figures(read, long),
    columnRatio: ratios(latents.whole, written.whole),
    tokenRatio: ratios(latents.whole, read.whole),
    furtherRatio: ratios(latents.further, read.further),
  };
}

interface Times {
  readonly whole: number[];
  readonly further: number[];
}

const noTimes = (): Times => ({ whole: [], further: [] });
