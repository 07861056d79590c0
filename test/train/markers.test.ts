// Markers that were never trained begin as copies of a token that was; those that were stay bit for bit.
import { describe, expect, it } from 'vitest';
import { byteLevelJson } from '../../src/data/bpe-files.ts';
import { BpeTokenizer } from '../../src/data/bpe-tokenizer.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { WordTokenizer } from '../../src/data/word-tokenizer.ts';
import { openModel } from '../../src/eval/open.ts';
import type { ModelConfig, Reasoning } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/init.ts';
import type { Recurrence } from '../../src/model/recurrence.ts';
import { configFor } from '../../src/train/fresh-model.ts';
import { withTrainedMarkers } from '../../src/train/markers.ts';
import { resolveOptions } from '../../src/train/options.ts';

const words = WordTokenizer.fromWords(['a', 'b', '?']);
const bytes = BpeTokenizer.fromJson(byteLevelJson(), 'bytes');
const C = 8;

async function optionsOf(line: string) {
  const resolved = await resolveOptions(['--init', 'm', ...line.split(' ').filter(Boolean)], async () => '');
  if ('help' in resolved) throw new Error('help');
  return resolved.options;
}

const trained = (mode: string, stage: number, endMarker: Reasoning['endMarker'] = 'latents'): Reasoning => {
  return { mode, stage, latentsPerStep: 1, maxLatentStage: 3, padLatents: true, endMarker };
};

/** Which of start, end and latent were made copies; every other row must be as it was. */
async function fresh(
  tokenizer: Tokenizer,
  reasoning: Reasoning | undefined,
  line: string,
  more: Partial<ModelConfig> = {},
): Promise<string[]> {
  const config = { ...configFor(tokenizer, { width: C, heads: 1, layers: 1 }, 8), reasoning, ...more };
  const weights = initialWeights(config, 'gpt2', 3);
  const opened = openModel({ config, weights, tokenizer: tokenizer.toJson() }, 'm');
  const changed = withTrainedMarkers(opened, await optionsOf(line));
  const source = tokenizer instanceof WordTokenizer ? [tokenizer.eos] : tokenizer.encode('<<');
  const ids = { start: tokenizer.startLatent, end: tokenizer.endLatent, latent: tokenizer.latent };
  let copies: string[] = [];
  for (const [name, values] of changed.weights) {
    const before = weights.get(name)!;
    if (!/wte|lm_head/.test(name)) {
      expect(values, name).toBe(before);
      continue;
    }
    const row = (rows: Float32Array, id: number) => rows.slice(id * C, (id + 1) * C);
    const copy = Float32Array.from({ length: C }, (_, c) =>
      source.reduce((sum, id) => sum + before[id * C + c]! / source.length, 0),
    );
    copies = Object.entries(ids).flatMap(([marker, id]) =>
      row(values, id).every((x, c) => Math.abs(x - copy[c]!) < 1e-9) ? [marker] : [],
    );
    for (let id = 0; id < config.vocabSize; id++)
      if (!copies.some(marker => ids[marker as keyof typeof ids] === id))
        expect(row(values, id), `${name} ${id}`).toEqual(row(before, id));
  }
  return copies;
}

it('stay as they are in a vocabulary of words', async () => {
  for (const mode of ['cot', 'no-cot', 'icot']) expect(await fresh(words, trained(mode, 0), '')).toEqual([]);
});

describe('of a vocabulary of bytes', () => {
  const tokenizer = bytes;
  it('are copied where the folder never read them', async () => {
    for (const mode of ['cot', 'no-cot', 'no-thought', 'icot', 'lm'])
      expect(await fresh(tokenizer, trained(mode, 0), ''), mode).toEqual(['start', 'end']);
    expect(await fresh(tokenizer, trained('cot', 0), '--mode pause')).toEqual(['start', 'end', 'latent']);
    expect(await fresh(tokenizer, trained('cot', 0), '--latents jacobi:2')).toEqual([
      ...['start', 'end', 'latent'],
    ]);
    const ownHead = { ownHead: true } as const;
    expect(await fresh(tokenizer, trained('cot', 0), '', ownHead)).toEqual(['start', 'end']);
  });

  it('stay where it did, and where the run reads none', async () => {
    for (const mode of ['coconut', 'no-curriculum', 'pause'])
      expect(await fresh(tokenizer, trained(mode, mode === 'no-curriculum' ? 0 : 3), ''), mode).toEqual([]);
    for (const mode of ['cot', 'no-cot', 'icot'])
      expect(await fresh(tokenizer, trained('cot', 0), `--mode ${mode}`), mode).toEqual([]);
    expect(await fresh(tokenizer, undefined, '')).toEqual([]);
  });

  it('are looked at one by one', async () => {
    // Stage 0 writes the end only where it always stands; a thought's own token is read by pauses and parallel thoughts.
    expect(await fresh(tokenizer, trained('coconut', 0), '')).toEqual(['end']);
    expect(await fresh(tokenizer, trained('coconut', 0, 'always'), '')).toEqual([]);
    expect(await fresh(tokenizer, trained('coconut', 3), '--mode pause')).toEqual(['latent']);
    expect(await fresh(tokenizer, trained('pause', 3), '--latents jacobi:2')).toEqual([]);
    const recurrence: Recurrence = { feedback: 'hidden', schedule: 'jacobi:2' };
    expect(await fresh(tokenizer, trained('coconut', 3), '--latents jacobi:2', { recurrence })).toEqual([]);
  });
});
