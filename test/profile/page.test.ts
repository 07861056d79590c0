// The profile's page and its text: all figures are there, all text is escaped, nothing is asked of the outside, and the
// chart and the table do what they say.
import chromium from '@sparticuz/chromium';
import { type Browser, type Page, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Profile } from '../../tools/profile/describe.ts';
import { profileHtml } from '../../tools/profile/html.ts';
import { profileText } from '../../tools/profile/table.ts';
import { measurement } from './timeline.ts';

const HOSTILE = `</script><script>window.hit = 1</script><img src=x onerror="window.hit = 1">&'`;
const profile: Profile = {
  title: 'pointer, stage 3 of 3',
  flags: ['--preset', 'pointer'],
  adapter: 'adapter: Some GPU (hardware), subgroups; a larger one would be faster',
  ceiling: 12e6,
  measurement: measurement(),
};

describe('the text', () => {
  it('has figures, parts and kernels', () => {
    const lines = profileText(profile)
      .split('\n')
      .map(line => line.trim().replace(/\s+/g, ' '));
    expect(lines).toEqual([
      'step 12.0 ms 32 tokens, 2,667 a second; without timestamps',
      'in kernels 10.0 ms 5.0 ms between them',
      'with timestamps 15.0 ms +25 %: 0.50 ms a dispatch',
      'recording 3.8 ms in JavaScript, while the device may work',
      'dispatches 6 in 1 submit',
      'peak memory 3.0 MiB alive in tensors',
      'of the ceiling 8.3 % 0.0010 of 0.012 GFLOP/s over the whole step',
      'in products 13 % 0.0016 GFLOP/s in the 7.5 ms of matrix products',
      '',
      'part of the step ms share calls',
      'forward 5.00 50 % 4',
      'embedding 1.00 10 % 1',
      'question 4.00 40 % 3',
      'backward 4.00 40 % 1',
      'question 4.00 40 % 1',
      'optimizer 1.00 10 % 1',
      '',
      'ms share calls GFLOP/s ceiling kernel shape',
      '7.50 75 % 3 0.0016 13 % matmul-quad BIAS KU=4 M 16 N 4 K 2 (4.0 ms), 1 more',
      '1.00 10 % 1 embedding count 4',
      '1.00 10 % 1 adamw count 4',
      '0.50 5.0 % 1 gelu count 4',
    ]);
  });
});

describe('the page', () => {
  it('escapes all text and names nothing outside', () => {
    const timeline = measurement().timeline.map(one => ({
      ...one,
      label: one.label + HOSTILE,
      path: one.path.map(name => name + HOSTILE),
    }));
    const html = profileHtml({
      ...profile,
      title: HOSTILE,
      adapter: HOSTILE,
      flags: [HOSTILE],
      measurement: measurement(timeline),
    });
    expect(html).not.toContain('<script>window');
    expect(html).not.toContain('<img');
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html).not.toMatch(/\b(src|href)="(?!data:)/);
    expect(html).not.toMatch(/url\(|@import|https?:/);
  });

  it('says what it is about', () => {
    const html = profileHtml(profile);
    expect(html).toContain('<h1>One step takes 12.0 ms, 75 % of its kernels’ time in matmul-quad</h1>');
    expect(html).toContain('train.ts --preset pointer');
    expect(html).not.toContain('would be faster');
  });
});

describe('the page in Chromium', () => {
  let browser: Browser;
  let page: Page;
  const troubles: string[] = [];

  beforeAll(async () => {
    browser = await playwright.launch({
      executablePath: await chromium.executablePath(),
      args: ['--no-sandbox', '--headless=new', '--disable-background-networking', '--no-first-run'],
    });
    page = await browser.newPage({ viewport: { width: 1000, height: 800 }, reducedMotion: 'reduce' });
    page.on('pageerror', error => troubles.push(error.message));
    page.on('console', message => troubles.push(message.text()));
    page.on('request', request => troubles.push(request.url()));
    await page.setContent(profileHtml(profile), { waitUntil: 'load' });
  });
  afterAll(() => browser.close());

  /** Left end and width of the frame with this title, as shares of the chart. */
  const place = async (title: string): Promise<[number, number]> => {
    const chart = (await page.locator('.flame').boundingBox())!;
    const frame = (await page.locator(`.frame[title^="${title}"]`).boundingBox())!;
    return [(frame.x - chart.x) / chart.width, frame.width / chart.width];
  };
  const expectPlace = async (title: string, x: number, w: number): Promise<void> => {
    const [left, width] = await place(title);
    expect(left).toBeCloseTo(x, 2);
    expect(width).toBeCloseTo(w, 2);
  };

  it('draws frames as wide as their time', async () => {
    await expectPlace('step ·', 0, 1);
    await expectPlace('forward ·', 0, 0.5);
    await expectPlace('forward › question ·', 0.1, 0.4);
    await expectPlace('backward › question › block 1 › linear › matmul', 0.5, 0.4);
    await expectPlace('optimizer ·', 0.9, 0.1);
  });

  it('tells what the pointer is on, widens it on a click, and goes back', async () => {
    const question = page.locator('.frame[title^="forward › question ·"]');
    await question.hover();
    await expect(page.locator('.told').textContent()).resolves.toBe(
      'forward › question · 4.0 ms (40 %) · 3 dispatches',
    );
    await question.click();
    await expectPlace('forward › question ·', 0, 1);
    await expectPlace('forward › question › block 0 ·', 0, 0.625);
    await expectPlace('forward ·', 0, 1); // What contains it leads back.
    await page.locator('.frame[title^="forward ·"]').click();
    await expectPlace('forward › question ·', 0.2, 0.8);
    await page.keyboard.press('Escape');
    await expectPlace('forward ·', 0, 0.5);
    await expectPlace('optimizer ·', 0.9, 0.1);
  });

  it('sorts the table, what has no value last', async () => {
    const kernels = () =>
      page.locator('tbody th').evaluateAll(cells => cells.map(cell => cell.textContent!.trim()));
    const longest = ['matmul-quad BIAS KU=4', 'embedding', 'adamw', 'gelu'];
    expect(await kernels()).toEqual(longest);
    const heads = page.locator('thead button');
    await heads.filter({ hasText: 'ms a step' }).click();
    expect(await kernels()).toEqual(['gelu', 'embedding', 'adamw', 'matmul-quad BIAS KU=4']);
    await heads.filter({ hasText: 'kernel' }).click();
    expect(await kernels()).toEqual(['adamw', 'embedding', 'gelu', 'matmul-quad BIAS KU=4']);
    for (const direction of ['descending', 'ascending']) {
      await heads.filter({ hasText: 'GFLOP/s' }).click();
      expect(await page.locator('thead th[aria-sort]').getAttribute('aria-sort')).toBe(direction);
      expect((await kernels())[0]).toBe('matmul-quad BIAS KU=4');
    }
  });

  it('asks for nothing and raises no error, dark and narrow too', async () => {
    const dark = await browser.newPage({ colorScheme: 'dark', viewport: { width: 390, height: 800 } });
    dark.on('request', request => troubles.push(request.url()));
    await dark.setContent(profileHtml(profile), { waitUntil: 'load' });
    // Only the table may be wider than the page, and it scrolls by itself.
    expect(await dark.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    const page = await dark.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(page).toBe('rgb(20, 21, 23)');
    expect(troubles).toEqual([]);
  });
});
