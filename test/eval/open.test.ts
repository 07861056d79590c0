// A pretrained folder made ready: the markers' rows are copies of another token's, all others stay bit for bit.
import { describe, expect, it } from 'vitest';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { openModel } from '../../src/eval/open.ts';
import { elements, parameterShapes, parseConfig } from '../../src/model/config.ts';
import { type ModelFiles, readModel, writeModel } from '../../src/model/folder.ts';
import { gpt2Json, gpt2Merges, gpt2Vocab } from '../data/gpt2.ts';
import { userError } from '../formats/expect-error.ts';
import { memoryFiles } from '../formats/memory-files.ts';

/** A GPT-2 of two columns, as the hub would have it: no markers. */
function pretrained(change: object = {}): ModelFiles {
  const json = { vocab_size: 50257, n_positions: 64, n_embd: 2, n_layer: 1, n_head: 1, eos_token_id: 50256 };
  const config = parseConfig(JSON.stringify({ ...json, ...change }), 'config.json');
  const weights = new Map(
    parameterShapes(config).map(([name, shape], i) => [
      name,
      Float32Array.from({ length: elements(shape) }, (_, j) => Math.sin(i + j)),
    ]),
  );
  return { config, weights, tokenizer: gpt2Json() };
}
const row = (rows: Float32Array, id: number) => [...rows.subarray(2 * id, 2 * id + 2)];

describe('openModel', () => {
  it.each([
    ['tied', {}],
    ['with a head of its own', { tie_word_embeddings: false }],
    ['with more rows than tokens', { vocab_size: 50304 }],
  ])('gives a model %s the markers', (_, change) => {
    const before = pretrained(change);
    const { config, weights, tokenizer } = openModel(before, 'm');
    expect(tokenizer.size).toBe(50260);
    expect(config).toMatchObject({
      vocabSize: 50260,
      eosTokenId: 50256,
      padTokenId: 50256,
      startLatentId: 50257,
      endLatentId: 50258,
      latentTokenId: 50259,
    });
    expect(parameterShapes(config).map(([name, shape]) => [name, elements(shape)])).toEqual(
      [...weights].map(([name, values]) => [name, values.length]),
    );
    const start = tokenizer.encode('<<');
    expect(start).toEqual([16791]);
    for (const [name, values] of weights) {
      const old = before.weights.get(name)!;
      if (!/wte|lm_head/.test(name)) expect(values, name).toBe(old);
      else {
        expect(values.subarray(0, 2 * 50257)).toEqual(old.subarray(0, 2 * 50257));
        for (const id of [50257, 50258, 50259]) expect(row(values, id)).toEqual(row(old, start[0]!));
      }
    }
  });

  it('leaves a model alone that has them, read from what it wrote', async () => {
    const opened = openModel(pretrained(), 'm');
    const files = memoryFiles();
    await writeModel(files, 'm', { ...opened, tokenizer: opened.tokenizer.toJson() });
    const read = await readModel(files, 'm');
    const again = openModel(read, 'm');
    expect(again.config).toEqual(opened.config);
    expect(again.weights).toBe(read.weights);
    expect(again.weights).toEqual(opened.weights);
  });

  it('takes the mean where << is two tokens', () => {
    const files = pretrained();
    const json = JSON.parse(files.tokenizer);
    json.model.merges = json.model.merges.filter((merge: string) => merge !== '< <');
    const { weights, tokenizer } = openModel({ ...files, tokenizer: JSON.stringify(json) }, 'm');
    const wte = weights.get('transformer.wte.weight')!;
    expect(tokenizer.encode('<<')).toEqual([27, 27]);
    expect(row(wte, 50258)).toEqual(row(wte, 27));
  });

  it("reads GPT-2's older tokenizer files", async () => {
    const files = memoryFiles();
    await writeModel(files, 'm', pretrained());
    const whole = await readModel(files, 'm');
    await files.remove('m/tokenizer.json');
    await files.writeAtomic('m/vocab.json', gpt2Vocab());
    await files.writeAtomic('m/merges.txt', gpt2Merges());
    expect(await readModel(files, 'm')).toEqual(whole);
  });

  it('refuses a tokenizer of another model', async () => {
    const { weights, config } = pretrained();
    const words = WordTokenizer.fromWords(['a']).toJson();
    const fault = (tokenizer: string, vocabSize = config.vocabSize) =>
      userError(() => openModel({ config: { ...config, vocabSize }, weights, tokenizer }, 'm'));
    expect(await fault(words)).toBe('m/tokenizer.json has 8 words, but vocab_size in config.json is 50257');
    expect(await fault(gpt2Json(), 50256)).toBe(
      'm/tokenizer.json has 50257 tokens, but vocab_size in config.json is 50256',
    );
    expect(await fault('{"model": {"type": "Unigram"}}')).toBe(
      'm/tokenizer.json: "model.type" is "Unigram", only "WordLevel" and byte-level "BPE" can be read',
    );
  });
});
