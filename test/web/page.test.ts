// The page in a real Chromium with WebGPU: what a visitor sees, every control by keyboard, files, faults and recovery.
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answered, openBrowser, openSite, type Site, type Visit, visit } from './site.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** For people to look at. */
const SCREENSHOTS = join(ROOT, '.cache', 'screenshots');
const MODELS = join(ROOT, 'src', 'web', 'public', 'models');

let site: Site;
let browser: Browser;
beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  [site, browser] = await Promise.all([openSite(), openBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
});

const shot = (page: Page, name: string) =>
  page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
const text = (page: Page) => page.getByLabel('As text').inputValue();
const row = (page: Page, model: string) =>
  page.locator('tbody[aria-live] tr', { has: page.locator('th', { hasText: new RegExp(`^${model} `) }) });
const thoughts = (page: Page) => page.locator('.cards .card');

/** Waits until the models have answered anew, after `change`. */
async function afterwards(page: Page, change: () => Promise<unknown>): Promise<void> {
  // Answers of before are taken off the page as soon as the question is asked again.
  const gone = page.waitForFunction(() => document.querySelectorAll('td.answer').length < 3, null, {
    polling: 'raf',
  });
  await Promise.all([gone, change()]);
  await answered(page);
}

describe('what a visitor finds', () => {
  let visited: Visit;
  let page: Page;
  beforeAll(async () => {
    visited = await visit(browser, site.url);
    page = visited.page;
  });

  it('is a question that is filled in, and three answers', async () => {
    expect(await text(page)).toMatch(/^(\d+ \d+ )+\? \d+ \d+ \d+$/);
    for (const model of ['coconut', 'cot', 'no-cot']) await row(page, model).waitFor();
    await expect(row(page, 'coconut').locator('.right').count()).resolves.toBe(1);
    expect(await thoughts(page).count()).toBe(3);
    await shot(page, 'light');
  });

  it('says what it computes on', async () => {
    const device = await page.locator('footer').textContent();
    expect(device).toMatch(/adapter\s*\S+/);
    expect(device).toMatch(/binding ≤ \d+ MiB/);
    expect(device).toMatch(/\d+ tokens\/s/);
    expect(device).toMatch(/[\d.]+ MiB, at most [\d.]+ MiB/);
  });

  it('asks nothing of anybody else, and nothing fails', () => {
    const outside = visited.requests.filter(url => !url.startsWith(site.url) && !/^(blob|data):/.test(url));
    expect(outside).toEqual([]);
    expect(visited.faults).toEqual([]);
  });

  it('weighs at most 3.5 MB, its scripts at most 300 kB compressed', () => {
    const files = readdirSync(site.folder, { recursive: true, encoding: 'utf8' })
      .map(name => join(site.folder, name))
      .filter(path => statSync(path).isFile());
    const total = files.reduce((sum, path) => sum + statSync(path).size, 0);
    const scripts = files
      .filter(path => path.endsWith('.js'))
      .map(path => gzipSync(readFileSync(path)).length);
    expect(total).toBeLessThan(3.5e6);
    expect(scripts.reduce((a, b) => a + b, 0)).toBeLessThan(300e3);
  });

  it('holds to its own policy: no script or style from elsewhere or inline', async () => {
    const policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute('content');
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const blocked = await page.evaluate(
      () =>
        new Promise<string>(resolve => {
          document.addEventListener('securitypolicyviolation', event => resolve(event.effectiveDirective));
          const script = document.createElement('script');
          script.textContent = 'globalThis.ran = true';
          document.head.append(script);
        }),
    );
    expect(blocked).toBe('script-src-elem');
  });
});

describe.each([
  ['light', {}],
  ['dark', { colorScheme: 'dark' }],
  ['narrow', { viewport: { width: 360, height: 780 } }],
] as const)('the %s page', (name, options) => {
  it('has no serious fault that axe-core finds, and nothing wider than the screen', async () => {
    const { page } = await visit(browser, site.url, { ...options, reducedMotion: 'reduce' });
    await page.getByRole('button', { name: 'Edit the graph' }).press('Enter');
    await page.getByRole('button', { name: /^node/ }).first().press('Enter');
    await shot(page, `${name}-editing`);
    await page.getByRole('radio', { name: 'thought 2' }).check({ force: true });
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
      return (await axe.run()).violations;
    });
    const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    expect(serious.map(({ id, nodes }) => [id, nodes.map(node => node.html)])).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    await shot(page, `${name}-thought`);
    await page.context().close();
  });
});

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

describe('by keyboard', () => {
  let page: Page;
  beforeAll(async () => {
    ({ page } = await visit(browser, site.url));
  });

  it('every control is reached by Tab, after the link that skips to the question', async () => {
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('Skip');
    const reached = new Set<string>();
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      reached.add(
        await page.evaluate(() => {
          const { activeElement } = document;
          return activeElement instanceof HTMLInputElement
            ? activeElement.type
            : (activeElement?.textContent ?? '');
        }),
      );
    }
    for (const control of [
      'New question',
      'Edit the graph',
      'Ask this',
      'Ask again',
      'Run',
      'radio',
      'range',
      'number',
      'file',
    ])
      expect([...reached]).toContain(control);
  });

  it('a new question, other sizes', async () => {
    const before = await text(page);
    await afterwards(page, () => page.getByRole('button', { name: 'New question' }).press('Enter'));
    expect(await text(page)).not.toBe(before);
    const nodes = page.getByLabel('nodes');
    await nodes.focus();
    await afterwards(page, () => nodes.press('ArrowDown'));
    expect(await nodes.inputValue()).toBe('11');
    const hops = page.getByLabel('hops', { exact: true });
    await hops.focus();
    await afterwards(page, () => hops.press('ArrowDown'));
    expect(await hops.inputValue()).toBe('2');
    await afterwards(page, () => hops.press('ArrowUp'));
  });

  it('a question as text, and what is wrong with one that is none', async () => {
    const field = page.getByLabel('As text');
    await field.fill('3 5 5 ? 1');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('expected edges as pairs').waitFor();
    await field.fill('0 1 1 2 2 3 4 5 5 6 6 7 ? 7 3 0');
    await page.keyboard.press('Tab');
    await afterwards(page, () => page.keyboard.press('Enter'));
    await page.getByText('Which of 7 and 3 can be reached from 0?').waitFor();
    expect(await page.getByText('expected edges as pairs').count()).toBe(0);
  });

  it('editing the graph: an edge, the root, a candidate', async () => {
    await page.getByRole('button', { name: 'Edit the graph' }).press('Enter');
    await page.getByRole('button', { name: 'node 3, candidate' }).press('Enter');
    await afterwards(page, () => page.getByRole('button', { name: 'node 4', exact: true }).press(' '));
    expect(await text(page)).toBe('0 1 1 2 2 3 4 5 5 6 6 7 3 4 ? 7 3 0');
    // Now both candidates can be reached.
    await page.getByText('no single right answer').first().waitFor();
    await page.getByRole('button', { name: 'node 6', exact: true }).press('Enter');
    await afterwards(page, () => page.getByRole('button', { name: 'second candidate' }).press('Enter'));
    expect(await text(page)).toMatch(/\? 7 6 0$/);
    await page.getByRole('button', { name: 'node 4', exact: true }).press('Enter');
    await afterwards(page, () => page.getByRole('button', { name: 'ask about it' }).press('Enter'));
    expect(await text(page)).toMatch(/\? 7 6 4$/);
    await page.getByRole('button', { name: 'Edit the graph' }).press('Enter');
  });

  it('the thought that the graph shows', async () => {
    await page.getByRole('radio', { name: 'question', exact: true }).focus();
    await page.keyboard.press('ArrowRight');
    await page
      .getByText("Under each node: how likely the model's own head finds it as the word for thought 1.")
      .waitFor();
    expect(await page.getByRole('img', { name: /^node \d+.*value 0\.\d\d/ }).count()).toBeGreaterThan(3);
  });

  it('the number of thoughts', async () => {
    const slider = page.getByRole('slider');
    await slider.focus();
    await afterwards(page, () => slider.press('ArrowRight'));
    await page.waitForFunction(() => document.querySelectorAll('.cards .card').length === 4);
    await page.getByText('As trained it answers').waitFor();
    await afterwards(page, () => slider.press('Home'));
    await page.getByText('No thoughts: the answer comes at once.').waitFor();
    await afterwards(page, () => slider.press('ArrowRight'));
    await afterwards(page, () => slider.press('ArrowRight'));
    await afterwards(page, () => slider.press('ArrowRight'));
    expect(await thoughts(page).count()).toBe(3);
  });

  it('what is done to thoughts, and what that does to the answer', async () => {
    await page.getByRole('radio', { name: /^keep/ }).focus();
    for (const clause of [
      'thoughts removed',
      'thoughts blanked',
      'noise for thoughts',
      "another question's thoughts",
      'snapped to tokens',
    ]) {
      await afterwards(page, () => page.keyboard.press('ArrowDown'));
      await page.locator('.effect', { hasText: clause }).waitFor();
    }
    await shot(page, 'snapped');
    await page.getByRole('radio', { name: /^keep/ }).focus();
    await afterwards(page, () => page.getByRole('radio', { name: /^keep/ }).press(' '));
  });

  it('a run over many questions, and its end before time', async () => {
    const panel = page.locator('section', { hasText: 'Many questions' });
    await panel.getByRole('button', { name: 'Run' }).press('Enter');
    await panel.locator('tbody tr').nth(7).waitFor();
    await page.waitForFunction(() => document.querySelector('progress')!.value > 0);
    // The page answers while the run goes on.
    await afterwards(page, () => page.getByRole('button', { name: 'Ask again' }).press('Enter'));
    await panel.getByRole('button', { name: 'Stop' }).press('Enter');
    await page.getByText(/the run has ended after \d+ of 1600 answers/).waitFor({ state: 'attached' });
    await panel.getByLabel('questions').selectOption('100');
    await panel.getByRole('button', { name: 'Run' }).press('Enter');
    await page.getByText('the run has ended after 800 of 800 answers').waitFor({ state: 'attached' });
    const right = await panel.locator('.share-cell').allInnerTexts();
    const [kept, removed] = right.map(share => Number.parseInt(share, 10));
    expect(kept).toBeGreaterThanOrEqual(85);
    expect(removed).toBeLessThan(70);
    await shot(page, 'many-questions');
  });
});

describe('models of the visitor', () => {
  const read = (model: string, name: string) => readFileSync(join(MODELS, model, name));
  const file = (name: string, buffer: Buffer) => ({ name, mimeType: 'application/octet-stream', buffer });
  const whole = (model: string) =>
    ['config.json', 'model.safetensors', 'tokenizer.json'].map(name => file(name, read(model, name)));
  let page: Page;
  beforeAll(async () => {
    ({ page } = await visit(browser, site.url));
  });

  it.each([
    ['a file is missing', () => whole('cot').slice(0, 2), 'tokenizer.json: is not among the files given'],
    [
      'a file is there twice',
      () => [...whole('cot'), ...whole('cot')],
      'config.json: 2 of the files given have this name',
    ],
    [
      'the weights are cut short',
      () =>
        whole('cot').with(1, file('model.safetensors', read('cot', 'model.safetensors').subarray(0, 5000))),
      /model\.safetensors: /,
    ],
    [
      'the config is no JSON',
      () => whole('cot').with(0, file('config.json', Buffer.from('{'))),
      /config\.json: not valid JSON/,
    ],
    [
      'the config is no text',
      () => whole('cot').with(0, file('config.json', Buffer.from([255, 254]))),
      /not a text file/,
    ],
    [
      'the config does not say how it thinks',
      () => {
        const { reasoning: _, ...plain } = JSON.parse(read('cot', 'config.json').toString());
        return whole('cot').with(0, file('config.json', Buffer.from(JSON.stringify(plain))));
      },
      /config\.json does not say how the model was trained to think/,
    ],
    [
      'the tokenizer is another',
      () => whole('cot').with(2, file('tokenizer.json', Buffer.from('{"model":{"type":"BPE"}}'))),
      /"model.vocab" is missing or no object/,
    ],
  ] as const)('are refused in plain words where %s, and the page stays as it was', async (_, files, says) => {
    await page.getByLabel('the three files').setInputFiles([...files()]);
    await page.locator('.notice .fault', { hasText: says }).waitFor();
    expect(await row(page, 'coconut').count()).toBe(1);
  });

  it.each([
    ['no-thought', 'stopped writing its steps', 0, 0],
    ['pause', 'pauses instead of thinking', 0, 3],
    ['no-curriculum', 'thinks, never saw steps', 3, 0],
    ['icot', 'stopped writing, word by word', 0, 0],
  ])('are called what they are: %s', async (mode, way, cards, pauses) => {
    const config = JSON.parse(read('coconut', 'config.json').toString());
    const own = { ...config, reasoning: { ...config.reasoning, mode } };
    const files = whole('coconut').with(0, file('config.json', Buffer.from(JSON.stringify(own))));
    await page.getByLabel('the three files').setInputFiles(files);
    await page.getByText(`yours is loaded: ${mode},`).waitFor();
    await row(page, 'yours').locator('td.answer').waitFor();
    expect(await row(page, 'yours').locator('th').textContent()).toBe(`yours ${way}`);
    expect(await thoughts(page).count()).toBe(cards);
    expect(await page.locator('.row .column.marker', { hasText: '<|latent|>' }).count()).toBe(pauses);
    await page.getByRole('button', { name: "Back to this page's models" }).click();
    await answered(page);
  });

  it('answer where they are whole, picked or dropped, and the page goes back to its own', async () => {
    await page.getByLabel('the three files').setInputFiles(whole('cot'));
    await page.getByText('yours is loaded: cot').waitFor();
    await row(page, 'yours').locator('td.answer').waitFor();
    expect(await page.locator('table').first().locator('tbody tr').count()).toBe(1);
    const dropped = await page.evaluateHandle(
      files => {
        const transfer = new DataTransfer();
        for (const { name, bytes } of files)
          transfer.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name));
        return transfer;
      },
      whole('no-cot').map(({ name, buffer }) => ({ name, bytes: buffer.toString('base64') })),
    );
    await page.dispatchEvent('.drop', 'drop', { dataTransfer: dropped });
    await page.getByText('yours is loaded: no-cot').waitFor();
    await page.getByRole('button', { name: "Back to this page's models" }).click();
    await answered(page);
  });
});

describe('a device that is gone', () => {
  it('is replaced by another without reloading, models and question as before', async () => {
    const { page, faults } = await visit(browser, site.url);
    await page.getByRole('button', { name: 'New question' }).click();
    await answered(page);
    const asked = await text(page);
    const [worker] = page.workers();
    await worker!.evaluate(() => {
      (globalThis as unknown as { engine: { gpu: { device: GPUDevice } } }).engine.gpu.device.destroy();
    });
    await page.getByText(/the device was lost \(.*\), and another one opened/).waitFor();
    await answered(page);
    expect(await text(page)).toBe(asked);
    await expect(row(page, 'coconut').locator('td.answer').textContent()).resolves.toMatch(/\d+/);
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it('or was never there: the page says what to do, and tries again', async () => {
    const bare = await openBrowser({ webgpu: false });
    try {
      const { page } = await visit(bare, site.url, { answers: false });
      await page.getByText('this browser offers no WebGPU adapter').waitFor();
      await page.getByText('chrome://flags/#enable-unsafe-webgpu').waitFor();
      await shot(page, 'no-adapter');
      await page.getByRole('button', { name: 'Try again' }).press('Enter');
      await page.getByText('this browser offers no WebGPU adapter').waitFor();
    } finally {
      await bare.close();
    }
  });
});

describe('a worker whose script cannot be loaded', () => {
  it('is the trouble shown, and the next try starts another', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const script = /worker-[^/]*\.js$/;
    await context.route(script, route => route.abort());
    await page.goto(site.url);
    await page.getByText("the page's worker stopped: try again, or reload the page").waitFor();
    await context.unroute(script);
    await page.getByRole('button', { name: 'Try again' }).press('Enter');
    await answered(page);
    await context.close();
  });
});
