// A headless Chromium with one page that runs a task. Knows browsers and their flags, and how they end before their time;
// knows no kernels.
import chromium from '@sparticuz/chromium';
import { type Browser, chromium as playwright } from 'playwright-core';
import { UserError } from '../../src/errors.ts';
import { GpuCompileError } from '../../src/gpu/errors.ts';
import type { Measured, Progress, Task } from './protocol.ts';

const FLAGS = [
  '--no-sandbox',
  // Else there is no adapter where there is no GPU.
  '--enable-unsafe-webgpu',
  // Browsers round timestamps to 0.1 ms against attacks on other pages; small kernels would then measure 0. This is the
  // documented way out (developer.chrome.com/docs/web-platform/webgpu/developer-features), and adapters give their full
  // names. Chromium 153 with the flag above does not round in any case.
  '--enable-webgpu-developer-features',
  // No requests of the browser's own.
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** The browser that npm installed, which is one for Linux; elsewhere the machine's own Chrome. */
export async function launch(): Promise<Browser> {
  const npm = process.platform === 'linux' && process.arch === 'x64';
  try {
    const which = npm ? { executablePath: await chromium.executablePath() } : { channel: 'chrome' };
    return await playwright.launch({ ...which, args: FLAGS });
  } catch (error) {
    const reason = firstLine(error);
    throw new UserError(
      npm
        ? `Chromium does not start (${reason}): run "npm ci" again, or install the libraries it misses`
        : `Chrome does not start (${reason}): install Google Chrome on this machine`,
    );
  }
}

/** Runs a task in the page at `address`. Throws UserError and GpuCompileError as a run in Node does. */
export async function runTask(
  browser: Browser,
  address: string,
  task: Task,
  tell: (progress: Progress) => void,
): Promise<Measured> {
  const page = await browser.newPage();
  let crashed = false;
  page.on('crash', () => {
    crashed = true;
  });
  try {
    await page.exposeFunction('tell', tell);
    await page.goto(address);
    const outcome = await page.evaluate(task => window.runTask(task), task);
    if (!('fault' in outcome)) return outcome;
    throw outcome.compile ? new GpuCompileError(outcome.fault) : new UserError(outcome.fault);
  } catch (error) {
    // Which of the two is known first differs; Playwright gives this error no class to the outside.
    if (!browser.isConnected() || /browser has been closed/.test(firstLine(error)))
      throw new UserError('Chromium ended before the bench did');
    if (crashed) throw new UserError('the page crashed in Chromium; with --op it needs the least memory');
    throw error;
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!;
}
