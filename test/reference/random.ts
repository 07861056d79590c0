// Random small models and batches for property-based tests of the whole model. Everything follows from the
// `random` passed in, a uniform generator on [0, 1).
import { parameterShapes, type ReferenceBatch, type ReferenceConfig, type ReferenceModel } from './model.ts';

/** Mulberry32: a uniform generator on [0, 1) from a 32-bit seed. */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A model whose every gain and bias is away from its usual start, rounded to float32 so that a device starts from
 * the same numbers. Matrices have standard deviation in^-1/2, embeddings and a head of its own 0.4.
 */
export function randomModel(config: ReferenceConfig, random: () => number): ReferenceModel {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const weights = new Map<string, Float64Array>();
  for (const [name, shape] of parameterShapes(config)) {
    const [mean, deviation] = /\bln(_\w+)?\.weight$/.test(name)
      ? [0.9, 0.3]
      : name.endsWith('bias')
        ? [0, 0.2]
        : /(w[tp]e|lm_head)\.weight$/.test(name)
          ? [0, 0.4]
          : [0, shape[0]! ** -0.5];
    const size = shape.reduce((a, b) => a * b, 1);
    weights.set(
      name,
      Float64Array.from({ length: size }, () => Math.fround(mean + deviation * normal())),
    );
  }
  return { config, weights };
}

/** One row: `question` words, a start marker, `latents`, an end marker where there are any, `text` labelled words. */
export interface RowPlan {
  readonly question: number;
  readonly latents: number;
  readonly text: number;
}

/**
 * A batch of the planned rows, left-padded so that first latents share a column (rows without latents stand as if
 * theirs came next) and right-padded to a common length. Token 0 pads, 1 starts, 2 ends, the config's latent token
 * marks latents, and words are all others; at least one word must exist. With a step head each latent stands for a step of
 * 0 to `step_tokens` words.
 */
export function randomBatch(
  config: ReferenceConfig,
  rows: readonly RowPlan[],
  random: () => number,
): ReferenceBatch {
  const words = Array.from({ length: config.vocab_size }, (_, id) => id).filter(
    id => id > 2 && id !== config.latent_token_id,
  );
  const draw = (count: number) =>
    Array.from({ length: count }, () => words[Math.floor(random() * words.length)]!);
  const repeat = (count: number, value: number) => new Array<number>(count).fill(value);
  const longestQuestion = Math.max(...rows.map(row => row.question));
  const built = rows.map(({ question, latents, text }) => {
    const answer = draw(text);
    const prompt = [
      ...draw(question),
      1,
      ...repeat(latents, config.latent_token_id),
      ...(latents ? [2] : []),
    ];
    return { ids: [...prompt, ...answer], prompt: prompt.length, answer, left: longestQuestion - question };
  });
  const T = Math.max(...built.map(({ ids, left }) => left + ids.length));
  const { step_tokens = 0 } = config;
  const steps = rows.map(({ latents }) =>
    Array.from({ length: latents }, () => draw(Math.floor(random() * (step_tokens + 1)))),
  );
  const padded = (pick: (row: (typeof built)[number]) => number[], fill: number) =>
    built.map(row => [
      ...repeat(row.left, fill),
      ...pick(row),
      ...repeat(T - row.left - row.ids.length, fill),
    ]);
  return {
    input_ids: padded(row => row.ids, 0),
    labels: padded(row => [...repeat(row.prompt, -100), ...row.answer], -100),
    attention_mask: padded(row => repeat(row.ids.length, 1), 0),
    position_ids: padded(row => row.ids.map((_, i) => i), 0),
    ...(step_tokens > 0 && { steps }),
  };
}
