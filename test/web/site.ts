// The page as a user meets it: built, served, and open in a real headless Chromium. Knows nothing of what is on it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import chromium from '@sparticuz/chromium';
import { type Browser, type BrowserContextOptions, type Page, chromium as playwright } from 'playwright-core';
import { build, preview } from 'vite';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Site {
  readonly url: string;
  /** The folder that `npm run build:web` would make. */
  readonly folder: string;
  close(): Promise<void>;
}

/** Builds the page, and with `library` mentalese.js beside it, and serves them. */
export async function openSite({ library = false } = {}): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'mentalese-web-'));
  const configFile = join(ROOT, 'vite.config.ts');
  for (const mode of library ? ['production', 'library'] : ['production'])
    await build({ configFile, mode, logLevel: 'error', build: { outDir: folder } });
  const server = await preview({ configFile, build: { outDir: folder }, preview: { port: 0 } });
  const url = server.resolvedUrls!.local[0]!;
  return {
    url,
    folder,
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const FLAGS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export async function openBrowser({ webgpu = true } = {}): Promise<Browser> {
  const args = webgpu ? [...FLAGS, '--enable-unsafe-webgpu'] : FLAGS;
  return playwright.launch({ executablePath: await chromium.executablePath(), args, headless: true });
}

export interface Visit {
  readonly page: Page;
  /** Addresses that the page asked for. */
  readonly requests: readonly string[];
  /** What went wrong in it: uncaught errors, errors on its console, failed requests. */
  readonly faults: readonly string[];
}

/** Opens the page and waits until every model has answered, if there is a device. */
export async function visit(
  browser: Browser,
  url: string,
  { answers = true, ...options }: BrowserContextOptions & { answers?: boolean } = {},
): Promise<Visit> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(90_000);
  const requests: string[] = [];
  const faults: string[] = [];
  page.on('request', request => requests.push(request.url()));
  page.on('requestfailed', request => faults.push(`failed: ${request.url()}`));
  page.on('pageerror', error => faults.push(String(error)));
  page.on('console', message => {
    if (message.type() === 'error') faults.push(message.text());
  });
  await page.goto(url);
  if (answers) await answered(page);
  return { page, requests, faults };
}

/** Waits until all three models have answered the question that is shown. */
export async function answered(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelectorAll('td.answer').length === 3);
}
