// The shape of a model and its config.json in Hugging Face GPT-2 form. Knows parameter names and shapes;
// knows no file system, no weights and no device.
import { UserError } from '../errors.ts';
import { isObject, type Json, type JsonObject, parseJson, show } from '../json.ts';
import {
  FEEDBACKS,
  isFeedback,
  isSchedule,
  PUBLISHED,
  type Recurrence,
  recurrenceOf,
  SCHEDULES,
} from './recurrence.ts';

/** A GPT-2. Token ids are undefined where config.json does not give them. */
export interface ModelConfig {
  /** V */
  readonly vocabSize: number;
  /** Rows of the position embedding: the longest row, latents included. */
  readonly positions: number;
  /** C, a multiple of `heads` */
  readonly width: number;
  readonly layers: number;
  /** H */
  readonly heads: number;
  /** Width of the MLP's hidden layer; 4·C where config.json says null. */
  readonly inner: number;
  readonly layerNormEpsilon: number;
  /** Rate of the dropout in training, where it is above 0 and the same in all places. Nothing reads it but files. */
  readonly dropout?: number | undefined;
  /** The LM head has weights of its own; absent: it is the token embedding (`tie_word_embeddings`). */
  readonly ownHead?: true;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  /** The token whose columns take the last hidden state as input. */
  readonly latentTokenId: number | undefined;
  readonly startLatentId: number | undefined;
  readonly endLatentId: number | undefined;
  /** How the model was trained to think; undefined where it was trained elsewhere. */
  readonly reasoning: Reasoning | undefined;
  /** What is fed back, and when: `PUBLISHED` where there is none. A bridge is part of the parameters. */
  readonly recurrence?: Recurrence | undefined;
}

/** What a prompt must hold for the model to think as it was trained to: the arguments of data/curriculum.ts. */
export interface Reasoning {
  readonly mode: string;
  readonly stage: number;
  readonly latentsPerStep: number;
  readonly maxLatentStage: number;
  readonly padLatents: boolean;
  readonly endMarker: 'latents' | 'always';
  /** Only where steps faded token by token. */
  readonly icotTokens?: number;
}

/** A model that goes on with a text: it has no steps, and so no stages and no thoughts. */
export const TEXT_REASONING: Reasoning = {
  mode: 'lm',
  stage: 0,
  latentsPerStep: 1,
  maxLatentStage: 0,
  padLatents: false,
  endMarker: 'latents',
};

/** The parameter of an LM head of its own. */
export const HEAD = 'lm_head.weight';

export type NamedShape = readonly [name: string, shape: readonly number[]];

/** Settings of GPT2Config that change the computation, with the one value this engine computes. */
const FIXED = {
  model_type: 'gpt2',
  activation_function: 'gelu_new',
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  reorder_and_upcast_attn: false,
  add_cross_attention: false,
} as const;

/**
 * Reads a config.json. A fault is a UserError of one line naming `fileName`, the key and what is wanted.
 * Keys that Hugging Face may leave out take the defaults of GPT2Config.
 */
export function parseConfig(text: string, fileName: string): ModelConfig {
  const json = parseJson(text, fileName);
  if (!isObject(json)) throw new UserError(`${fileName}: expected a JSON object, got ${show(json)}`);
  for (const [key, value] of Object.entries(FIXED)) {
    if (json[key] !== undefined && json[key] !== value) {
      throw new UserError(`${fileName}: ${key} is ${show(json[key])}, only ${show(value)} is supported`);
    }
  }
  const tied = json.tie_word_embeddings ?? true;
  if (typeof tied !== 'boolean')
    throw new UserError(`${fileName}: tie_word_embeddings must be true or false, got ${show(tied)}`);
  const vocabSize = size(json, 'vocab_size', fileName);
  const width = size(json, 'n_embd', fileName);
  const heads = size(json, 'n_head', fileName);
  if (width % heads !== 0) {
    throw new UserError(`${fileName}: n_embd ${width} is not divisible by n_head ${heads}`);
  }
  const positions = size(json, 'n_positions', fileName);
  if (json.n_ctx !== undefined && json.n_ctx !== positions) {
    throw new UserError(`${fileName}: n_ctx ${show(json.n_ctx)} differs from n_positions ${positions}`);
  }
  const epsilon = json.layer_norm_epsilon ?? 1e-5;
  if (typeof epsilon !== 'number' || !(epsilon > 0)) {
    throw new UserError(`${fileName}: layer_norm_epsilon must be a number above 0, got ${show(epsilon)}`);
  }
  const id = (key: string) => tokenId(json, key, vocabSize, fileName);
  const config: ModelConfig = {
    vocabSize,
    positions,
    width,
    layers: size(json, 'n_layer', fileName),
    heads,
    inner: json.n_inner === undefined || json.n_inner === null ? 4 * width : size(json, 'n_inner', fileName),
    layerNormEpsilon: epsilon,
    ...dropoutFrom(json),
    ...(!tied && { ownHead: true as const }),
    bosTokenId: id('bos_token_id'),
    eosTokenId: id('eos_token_id'),
    padTokenId: id('pad_token_id'),
    latentTokenId: id('latent_token_id'),
    startLatentId: id('start_latent_id'),
    endLatentId: id('end_latent_id'),
    reasoning: reasoningFrom(json.reasoning, fileName),
    recurrence: recurrenceFrom(json.reasoning, fileName),
  };
  const marks = [config.latentTokenId, config.startLatentId, config.endLatentId].filter(
    mark => mark !== undefined,
  );
  if (new Set(marks).size !== marks.length) {
    throw new UserError(
      `${fileName}: latent_token_id, start_latent_id and end_latent_id must be three different tokens`,
    );
  }
  return config;
}

/** A config.json that `GPT2LMHeadModel.from_pretrained` opens, with our three token ids beside its keys. */
export function formatConfig(config: ModelConfig): string {
  const json = {
    architectures: ['GPT2LMHeadModel'],
    ...FIXED,
    tie_word_embeddings: !config.ownHead,
    vocab_size: config.vocabSize,
    n_positions: config.positions,
    n_ctx: config.positions,
    n_embd: config.width,
    n_layer: config.layers,
    n_head: config.heads,
    n_inner: config.inner === 4 * config.width ? null : config.inner,
    layer_norm_epsilon: config.layerNormEpsilon,
    attn_pdrop: config.dropout ?? 0,
    embd_pdrop: config.dropout ?? 0,
    resid_pdrop: config.dropout ?? 0,
    torch_dtype: 'float32',
    // null, not left out: GPT2Config's own default for a missing id is 50256.
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: config.eosTokenId ?? null,
    pad_token_id: config.padTokenId ?? null,
    latent_token_id: config.latentTokenId,
    start_latent_id: config.startLatentId,
    end_latent_id: config.endLatentId,
    reasoning: formatReasoning(config),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

function formatReasoning({ reasoning, recurrence }: ModelConfig): JsonObject | undefined {
  if (!reasoning && !recurrence) return undefined;
  if (reasoning?.mode === TEXT_REASONING.mode) return { mode: reasoning.mode };
  return {
    ...(reasoning && {
      mode: reasoning.mode,
      stage: reasoning.stage,
      latents_per_step: reasoning.latentsPerStep,
      max_latent_stage: reasoning.maxLatentStage,
      pad_latents: reasoning.padLatents,
      end_marker: reasoning.endMarker,
      icot_tokens: reasoning.icotTokens,
    }),
    ...(recurrence && {
      feedback: recurrence.feedback,
      latents: recurrence.schedule,
      feedback_scale: recurrence.scale,
    }),
  };
}

const RECURRENCE_KEYS: readonly string[] = ['feedback', 'latents', 'feedback_scale'];

/** The one rate of all places; nothing where there are several, or none: how to train is not the file's to say. */
function dropoutFrom({ embd_pdrop: rate, attn_pdrop, resid_pdrop }: JsonObject): { dropout?: number } {
  const one = rate === attn_pdrop && rate === resid_pdrop;
  return one && typeof rate === 'number' && rate > 0 && rate < 1 ? { dropout: rate } : {};
}

function recurrenceFrom(json: Json | undefined, fileName: string): Recurrence | undefined {
  if (!isObject(json)) return undefined;
  const {
    feedback = PUBLISHED.feedback,
    latents: schedule = PUBLISHED.schedule,
    feedback_scale: scale = 1,
  } = json;
  if (!isFeedback(feedback))
    throw new UserError(
      `${fileName}: reasoning.feedback must be one of ${FEEDBACKS.join(', ')}, got ${show(feedback)}`,
    );
  if (!isSchedule(schedule))
    throw new UserError(`${fileName}: reasoning.latents must be ${SCHEDULES}, got ${show(schedule)}`);
  if (typeof scale !== 'number' || !(scale > 0))
    throw new UserError(`${fileName}: reasoning.feedback_scale must be a number above 0, got ${show(scale)}`);
  if (scale !== 1 && feedback !== 'hidden')
    throw new UserError(
      `${fileName}: reasoning.feedback_scale belongs to the feedback "hidden", not to "${feedback}"`,
    );
  return recurrenceOf(feedback, schedule, scale);
}

function reasoningFrom(json: Json | undefined, fileName: string): Reasoning | undefined {
  if (json === undefined || json === null) return undefined;
  const where = `${fileName}: reasoning`;
  if (!isObject(json)) throw new UserError(`${where} must be an object, got ${show(json)}`);
  // A model that nobody has trained yet knows how it feeds back, and no mode or stage.
  const keys = Object.keys(json);
  if (keys.length > 0 && keys.every(key => RECURRENCE_KEYS.includes(key))) return undefined;
  if (json.mode === TEXT_REASONING.mode) return TEXT_REASONING;
  const count = (key: string): number => {
    const value = json[key];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
      throw new UserError(`${where}.${key} must be a whole number, got ${show(value)}`);
    return value;
  };
  const { mode, pad_latents: padLatents, end_marker: endMarker } = json;
  if (typeof mode !== 'string') throw new UserError(`${where}.mode must be text, got ${show(mode)}`);
  if (typeof padLatents !== 'boolean')
    throw new UserError(`${where}.pad_latents must be true or false, got ${show(padLatents)}`);
  if (endMarker !== 'latents' && endMarker !== 'always')
    throw new UserError(`${where}.end_marker must be "latents" or "always", got ${show(endMarker)}`);
  return {
    mode,
    stage: count('stage'),
    latentsPerStep: count('latents_per_step'),
    maxLatentStage: count('max_latent_stage'),
    padLatents,
    endMarker,
    ...(json.icot_tokens !== undefined && { icotTokens: count('icot_tokens') }),
  };
}

/** The three ids that latent reasoning needs, or a UserError naming the first that `fileName` lacks. */
export function latentIds(
  config: ModelConfig,
  fileName: string,
): { latent: number; start: number; end: number } {
  const need = (id: number | undefined, key: string): number => {
    if (id === undefined)
      throw new UserError(`${fileName}: ${key} is missing, the model cannot think in latents`);
    return id;
  };
  return {
    latent: need(config.latentTokenId, 'latent_token_id'),
    start: need(config.startLatentId, 'start_latent_id'),
    end: need(config.endLatentId, 'end_latent_id'),
  };
}

/**
 * Every parameter by its Hugging Face name, in the order in which files and optimizers keep them.
 * Matrices are [in, out] (GPT-2's Conv1D), but a head is [V, C] like the token embedding: as that, where it is tied.
 */
export function parameterShapes(config: ModelConfig): NamedShape[] {
  const { vocabSize: V, positions, width: C, inner } = config;
  const shapes: NamedShape[] = [
    ['transformer.wte.weight', [V, C]],
    ['transformer.wpe.weight', [positions, C]],
  ];
  const affine = (name: string, shape: readonly number[]) => {
    shapes.push([`${name}.weight`, shape], [`${name}.bias`, [shape.at(-1)!]]);
  };
  for (let layer = 0; layer < config.layers; layer++) {
    const block = `transformer.h.${layer}`;
    affine(`${block}.ln_1`, [C]);
    affine(`${block}.attn.c_attn`, [C, 3 * C]);
    affine(`${block}.attn.c_proj`, [C, C]);
    affine(`${block}.ln_2`, [C]);
    affine(`${block}.mlp.c_fc`, [C, inner]);
    affine(`${block}.mlp.c_proj`, [inner, C]);
  }
  affine('transformer.ln_f', [C]);
  shapes.push(...bridgeShapes(config));
  if (config.ownHead) shapes.push([HEAD, [V, C]]);
  return shapes;
}

/** Parameters of the bridge between what the last layer gives and what the first takes, where the model has one. */
export function bridgeShapes({ width: C, recurrence }: ModelConfig): NamedShape[] {
  const map = (name: string): NamedShape[] => [
    [`transformer.bridge.${name}.weight`, [C, C]],
    [`transformer.bridge.${name}.bias`, [C]],
  ];
  const norm: NamedShape[] = [
    ['transformer.bridge.ln.weight', [C]],
    ['transformer.bridge.ln.bias', [C]],
  ];
  switch (recurrence?.feedback) {
    case 'linear':
      return [...map('c_proj'), ...norm];
    case 'mlp':
      return [...map('c_fc'), ...map('c_proj'), ...norm];
    default:
      return [];
  }
}

/** Number of trained scalars; the tied head counts once. */
export function parameterCount(config: ModelConfig): number {
  return parameterShapes(config).reduce((sum, [, shape]) => sum + elements(shape), 0);
}

/** Number of elements of a shape; 1 for a scalar's []. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

function size(json: JsonObject, key: string, fileName: string): number {
  const value = json[key];
  if (value === undefined) throw new UserError(`${fileName}: ${key} is missing`);
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) {
    throw new UserError(`${fileName}: ${key} must be a positive integer, got ${show(value)}`);
  }
  return value;
}

function tokenId(json: JsonObject, key: string, vocabSize: number, fileName: string): number | undefined {
  const value = json[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= vocabSize) {
    throw new UserError(
      `${fileName}: ${key} must be a token id below vocab_size ${vocabSize}, got ${show(value)}`,
    );
  }
  return value;
}
