// The engine as a library, in a real Chromium and in Node: the same tokens and logits from the same files, and the lines
// of docs/embedding.md as they stand there.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collatePrompts } from '../../src/data/batch.ts';
import { promptFor } from '../../src/eval/prompting.ts';
import { generate, Reasoner, readModel } from '../../src/index.ts';
import { nodeFiles } from '../../src/platform/files.ts';
import { drawSample, SIZES } from '../../src/web/question/draw.ts';
import { testGpu } from '../device.ts';
import { relativeError } from '../numbers.ts';
import { openBrowser, openSite, type Site } from './site.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const QUESTIONS = 60;

let site: Site;
let browser: Browser;
beforeAll(async () => {
  [site, browser] = await Promise.all([openSite({ library: true }), openBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
});

interface Made {
  readonly tokens: number[][];
  readonly logits: number[][][];
}

const { nodes, hops } = SIZES['prosqa-mini'];
const questions = Array.from(
  { length: QUESTIONS },
  (_, index) => drawSample({ task: 'prosqa-mini', nodes: nodes[2], hops: hops[2] }, 5000 + index).question,
);

async function inNode(folder: string): Promise<Made> {
  const gpu = await testGpu();
  const model = new Reasoner(gpu, await readModel(nodeFiles, folder), folder);
  const { tokenizer, config } = model;
  const prompts = questions.map(question => promptFor(question, tokenizer, config, model.asking()));
  const options = { maxTokens: 8, eos: tokenizer.eos, logits: true };
  const { tokens, logits } = await generate(model.model, collatePrompts(prompts, tokenizer.pad), options);
  return { tokens: tokens.map(row => [...row]), logits: logits.map(row => row.map(step => [...step])) };
}

/** One question at a time, as a page asks; as text, since a bundler would rewrite the import. */
const IN_PAGE = `(async ({ folder, questions }) => {
  const { fetchSource, generate, openWebGpu, readModel, Reasoner } = await import('./mentalese.js');
  const { gpu } = await openWebGpu();
  const model = new Reasoner(gpu, await readModel(fetchSource, folder), folder);
  const made = { tokens: [], logits: [] };
  for (const question of questions) {
    const { tokens, logits } = await model.ask(question, { maxTokens: 8, logits: true });
    made.tokens.push([...tokens]);
    made.logits.push(logits.map(step => [...step]));
  }
  await gpu.destroy();
  return made;
})`;

describe('in Chromium', () => {
  it.each(['coconut', 'cot', 'no-cot'])(
    `%s answers ${QUESTIONS} questions as in Node, token by token and logit by logit`,
    async name => {
      const page = await browser.newPage();
      await page.goto(site.url);
      const asked = { folder: `models/${name}`, questions };
      const there = (await page.evaluate(`${IN_PAGE}(${JSON.stringify(asked)})`)) as Made;
      const here = await inNode(join(ROOT, 'src/web/public/models', name));
      expect(there.tokens).toEqual(here.tokens);
      // What comes after a row's own end depends on its company.
      for (const [b, row] of there.logits.entries())
        for (const [step, logits] of row.slice(0, there.tokens[b]!.length + 1).entries())
          expect(relativeError(logits, here.logits[b]![step]!)).toBeLessThan(1e-4);
      await page.close();
    },
  );

  it('the lines of docs/embedding.md run a model', async () => {
    writeFileSync(join(site.folder, 'embedding.html'), codeOf('html'));
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on('pageerror', error => faults.push(String(error)));
    await page.goto(`${site.url}embedding.html`);
    await page.waitForFunction(() => document.querySelector('#out')?.textContent !== '');
    expect(await page.locator('#out').textContent()).toMatch(/^thought of \d+, \d+, \d+ and says ### 4$/);
    expect(faults).toEqual([]);
    await page.close();
  });
});

describe('in Node', () => {
  it('the lines of docs/embedding.md run a model, by the names that package.json exports', async () => {
    const folder = join(ROOT, 'src/web/public/models/coconut');
    const lines = codeOf('ts').replace("'runs/prosqa-mini/final'", JSON.stringify(folder));
    const flags = ['--input-type=module-typescript', '--eval', lines];
    const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd: ROOT });
    expect(stdout).toMatch(/### \d+\n$/);
  });
});

/** The one code block of a language in docs/embedding.md. */
function codeOf(language: string): string {
  const text = readFileSync(join(ROOT, 'docs/embedding.md'), 'utf8');
  const blocks = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))];
  expect(blocks).toHaveLength(1);
  return blocks[0]![1]!;
}
