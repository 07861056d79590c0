import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatConfig,
  latentIds,
  type ModelConfig,
  parameterCount,
  parameterShapes,
  parseConfig,
} from '../../src/model/config.ts';
import { userError } from './expect-error.ts';

// The keys of the hub's own openai-community/gpt2 config.json, shortened to what matters here.
const GPT2 = {
  activation_function: 'gelu_new',
  architectures: ['GPT2LMHeadModel'],
  attn_pdrop: 0.1,
  bos_token_id: 50256,
  eos_token_id: 50256,
  layer_norm_epsilon: 1e-5,
  model_type: 'gpt2',
  n_ctx: 1024,
  n_embd: 768,
  n_head: 12,
  n_layer: 12,
  n_positions: 1024,
  summary_type: 'cls_index',
  vocab_size: 50257,
};

const parse = (change: object) => parseConfig(JSON.stringify({ ...GPT2, ...change }), 'm/config.json');

describe('config.json', () => {
  it("reads the hub's GPT-2 and counts its parameters", () => {
    const config = parse({});
    expect(config).toMatchObject({
      width: 768,
      inner: 3072,
      heads: 12,
      eosTokenId: 50256,
      latentTokenId: undefined,
    });
    // The published size of GPT-2 small, head tied.
    expect(parameterCount(config)).toBe(124_439_808);
  });

  it('lists parameters under their Hugging Face names and shapes', () => {
    const config = parse({
      vocab_size: 11,
      n_positions: 7,
      n_ctx: 7,
      n_embd: 6,
      n_head: 2,
      n_layer: 2,
      n_inner: 10,
      bos_token_id: 1,
      eos_token_id: 1,
    });
    const shapes = Object.fromEntries(parameterShapes(config));
    expect(Object.keys(shapes)).toHaveLength(2 + 2 * 12 + 2);
    expect(Object.keys(shapes).slice(0, 6)).toEqual([
      'transformer.wte.weight',
      'transformer.wpe.weight',
      'transformer.h.0.ln_1.weight',
      'transformer.h.0.ln_1.bias',
      'transformer.h.0.attn.c_attn.weight',
      'transformer.h.0.attn.c_attn.bias',
    ]);
    expect(shapes).toMatchObject({
      'transformer.wte.weight': [11, 6],
      'transformer.wpe.weight': [7, 6],
      'transformer.h.1.attn.c_attn.weight': [6, 18],
      'transformer.h.1.attn.c_attn.bias': [18],
      'transformer.h.1.attn.c_proj.weight': [6, 6],
      'transformer.h.1.mlp.c_fc.weight': [6, 10],
      'transformer.h.1.mlp.c_proj.weight': [10, 6],
      'transformer.h.1.mlp.c_proj.bias': [6],
      'transformer.ln_f.bias': [6],
    });
  });

  it('comes back from its own text', () => {
    const count = fc.integer({ min: 1, max: 300 });
    const config: fc.Arbitrary<ModelConfig> = fc
      .record({
        vocabSize: fc.integer({ min: 3, max: 300 }),
        positions: count,
        heads: count,
        head: count,
        layers: count,
        inner: count,
        epsilon: fc.double({ min: 1e-12, max: 0.1, noNaN: true }),
        latent: fc.boolean(),
        recurrence: fc.constantFrom(
          undefined,
          { feedback: 'mlp' as const, schedule: 'sequential' as const },
          { feedback: 'hidden' as const, schedule: 'jacobi:3' as const },
          { feedback: 'hidden' as const, schedule: 'sequential' as const, scale: 0.0123 },
        ),
        own: fc.boolean(),
      })
      .map(({ vocabSize, positions, heads, head, layers, inner, epsilon, latent, own, recurrence }) => ({
        vocabSize,
        positions,
        width: heads * head,
        layers,
        heads,
        inner,
        layerNormEpsilon: epsilon,
        ...(own && { ownHead: true as const }),
        bosTokenId: undefined,
        eosTokenId: vocabSize - 1,
        padTokenId: 0,
        latentTokenId: latent ? 0 : undefined,
        startLatentId: latent ? 1 : undefined,
        endLatentId: latent ? 2 : undefined,
        reasoning: latent
          ? {
              mode: 'coconut',
              stage: 3,
              latentsPerStep: 1,
              maxLatentStage: 3,
              padLatents: true,
              endMarker: 'latents' as const,
              ...(layers > 1 && { icotTokens: layers }),
            }
          : undefined,
        recurrence,
      }));
    fc.assert(
      fc.property(config, c => {
        expect(parseConfig(formatConfig(c), 'x')).toEqual(c);
      }),
    );
  });

  it('has a bridge in the model, by name and shape, and refuses recurrences that it does not know', async () => {
    const small = { n_embd: 6, n_head: 2, n_layer: 1 };
    const bridge = (feedback: string) =>
      Object.fromEntries(
        parameterShapes(parse({ ...small, reasoning: { feedback } })).filter(([name]) =>
          name.startsWith('transformer.bridge.'),
        ),
      );
    const linear = {
      'transformer.bridge.c_proj.weight': [6, 6],
      'transformer.bridge.c_proj.bias': [6],
      'transformer.bridge.ln.weight': [6],
      'transformer.bridge.ln.bias': [6],
    };
    const hidden = { 'transformer.bridge.c_fc.weight': [6, 6], 'transformer.bridge.c_fc.bias': [6] };
    expect(bridge('linear')).toEqual(linear);
    expect(bridge('mlp')).toEqual({ ...hidden, ...linear });
    for (const feedback of ['hidden', 'soft', 'token']) expect(bridge(feedback)).toEqual({});
    expect(await userError(() => parse({ reasoning: { feedback: 'x' } }))).toBe(
      'm/config.json: reasoning.feedback must be one of hidden, linear, mlp, soft, token, got "x"',
    );
    expect(await userError(() => parse({ reasoning: { latents: 'jacobi:0' } }))).toBe(
      'm/config.json: reasoning.latents must be sequential or jacobi:T with T of at least 1, got "jacobi:0"',
    );
    expect(parse({ reasoning: { feedback_scale: 0.5 } }).recurrence).toEqual({
      ...{ feedback: 'hidden', schedule: 'sequential', scale: 0.5 },
    });
    expect(parse({ reasoning: { feedback_scale: 1 } }).recurrence).toBe(undefined);
    for (const scale of [0, -1, '2', null])
      expect(await userError(() => parse({ reasoning: { feedback_scale: scale } }))).toMatch(
        /^m\/config\.json: reasoning\.feedback_scale must be a number above 0, got /,
      );
    expect(await userError(() => parse({ reasoning: { feedback: 'soft', feedback_scale: 2 } }))).toBe(
      'm/config.json: reasoning.feedback_scale belongs to the feedback "hidden", not to "soft"',
    );
  });

  it('keeps a dropout of one rate in all places, and no other', () => {
    const rates = (embd: number, attn = embd, resid = embd) =>
      parse({ embd_pdrop: embd, attn_pdrop: attn, resid_pdrop: resid });
    const kept = rates(0.1);
    expect(kept.dropout).toBe(0.1);
    expect(JSON.parse(formatConfig(kept))).toMatchObject({
      embd_pdrop: 0.1,
      attn_pdrop: 0.1,
      resid_pdrop: 0.1,
    });
    for (const other of [rates(0), rates(0.1, 0.2), rates(0.1, 0.1, 0), rates(1), parse({})])
      expect(other.dropout).toBeUndefined();
  });

  it('writes what GPT2LMHeadModel needs, and null where its default id would be wrong', () => {
    const json = JSON.parse(formatConfig(parse({ bos_token_id: null })));
    expect(json).toMatchObject({
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      tie_word_embeddings: true,
      attn_pdrop: 0,
      embd_pdrop: 0,
      resid_pdrop: 0,
      n_inner: null,
      bos_token_id: null,
    });
    expect(json).not.toHaveProperty('latent_token_id');
  });

  it('gives the ids of latent reasoning or says which is missing', async () => {
    const ids = { latent_token_id: 3, start_latent_id: 4, end_latent_id: 5 };
    expect(latentIds(parse(ids), 'f')).toEqual({ latent: 3, start: 4, end: 5 });
    expect(await userError(() => latentIds(parse({ ...ids, end_latent_id: undefined }), 'f'))).toBe(
      'f: end_latent_id is missing, the model cannot think in latents',
    );
  });

  it.each([
    [{ n_embd: 770 }, 'n_embd 770 is not divisible by n_head 12'],
    [{ n_embd: '768' }, 'n_embd must be a positive integer, got "768"'],
    [{ n_layer: 0 }, 'n_layer must be a positive integer, got 0'],
    [{ n_head: 1.5 }, 'n_head must be a positive integer, got 1.5'],
    [{ vocab_size: undefined }, 'vocab_size is missing'],
    [{ vocab_size: null }, 'vocab_size must be a positive integer, got null'],
    [{ n_inner: -1 }, 'n_inner must be a positive integer, got -1'],
    [{ n_ctx: 512 }, 'n_ctx 512 differs from n_positions 1024'],
    [{ activation_function: 'relu' }, 'activation_function is "relu", only "gelu_new" is supported'],
    [{ model_type: 'llama' }, 'model_type is "llama", only "gpt2" is supported'],
    [{ tie_word_embeddings: 'no' }, 'tie_word_embeddings must be true or false, got "no"'],
    [
      { scale_attn_by_inverse_layer_idx: true },
      'scale_attn_by_inverse_layer_idx is true, only false is supported',
    ],
    [{ layer_norm_epsilon: 0 }, 'layer_norm_epsilon must be a number above 0, got 0'],
    [{ eos_token_id: 50257 }, 'eos_token_id must be a token id below vocab_size 50257, got 50257'],
    [{ latent_token_id: -1 }, 'latent_token_id must be a token id below vocab_size 50257, got -1'],
    [
      { latent_token_id: 3, start_latent_id: 3 },
      'latent_token_id, start_latent_id and end_latent_id must be three different tokens',
    ],
  ])('refuses %j', async (change, fault) => {
    expect(await userError(() => parse(change))).toBe(`m/config.json: ${fault}`);
  });

  it('refuses every truncation of a config and what is no object', async () => {
    const text = JSON.stringify(GPT2, null, 2);
    for (let length = 0; length < text.length; length += 7) {
      expect(await userError(() => parseConfig(text.slice(0, length), 'c.json'))).toMatch(/^c\.json: /);
    }
    expect(await userError(() => parseConfig('[1]', 'c.json'))).toBe(
      'c.json: expected a JSON object, got [1]',
    );
    expect(await userError(() => parseConfig('', 'c.json'))).toBe('c.json: the file is empty, expected JSON');
  });
});
