import { readFile } from 'node:fs/promises';
import chromium from '@sparticuz/chromium';
import { type Browser, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MODES } from '../../src/data/curriculum.ts';
import { align, reportCurves, thin } from '../../src/train/report/curves.ts';
import { escapeHtml } from '../../src/train/report/html.ts';
import { MODE_COLOURS, STYLE } from '../../src/train/report/style.ts';
import { type ReportInput, reportHtml } from '../../src/train/report.ts';
import { type ArmResult, formatResults, resultsTable } from '../../src/train/results.ts';
import { HOSTILE, reportSample } from './report-sample.ts';

const uplot = (name: string) =>
  readFile(new URL(`../../node_modules/uplot/dist/${name}`, import.meta.url), 'utf8');

let input: ReportInput;
beforeAll(async () => {
  const [uplotJs, uplotCss] = await Promise.all([uplot('uPlot.iife.min.js'), uplot('uPlot.min.css')]);
  input = { ...(await reportSample()), uplotJs, uplotCss };
});

describe('a language model', () => {
  it('is reported by its loss, without verdicts', () => {
    const common = { arm: 'lm', step: 10, stage: 0, samples: 40, seconds: 1 };
    const [arm] = input.results.arms;
    const { bptt, seed, samples, steps, stage, lastStage, trainSeconds, stepSeconds, peakBytes } =
      arm as ArmResult;
    const trained = { bptt, seed, samples, steps, stage, lastStage, trainSeconds, stepSeconds, peakBytes };
    const score = { evalTokens: 1234, loss: 3, perplexity: Math.exp(3), bitsPerByte: 1.25 };
    const html = reportHtml({
      ...input,
      options: { ...input.options, mode: 'lm', data: 'book.txt' },
      results: { ...input.results, arms: [{ mode: 'lm', parameters: 1, ...trained, ...score }] },
      metrics: [{ kind: 'held-out', ...common, loss: 3, bitsPerByte: 1.25 }],
      samples: [
        {
          mode: 'lm',
          question: 'Call',
          expected: ' me',
          output: ' it',
          correct: null,
          thoughts: [],
          values: null,
        },
      ],
    });
    expect(html).toContain(
      '3.0000 nats a token, perplexity 20.09, 1.2500 bits a byte on 1,234 unseen tokens',
    );
    expect(html).toContain('language model of book.txt');
    expect(html).toContain('<th scope="col">bits/byte</th>');
    expect(html).toContain('Loss on held-out text');
    expect(html).not.toContain('Exact match');
    expect(html).not.toMatch(/class="(right|wrong)"/);
  });
});

describe('curves', () => {
  it('thins to means of equal runs and leaves out what is no number', () => {
    expect(
      thin(
        [
          [1, 2],
          [2, 4],
          [3, Number.NaN],
          [4, 6],
          [5, 8],
        ],
        2,
      ),
    ).toEqual([
      [2, 3],
      [5, 7],
    ]);
    expect(thin([[1, 2]], 400)).toEqual([[1, 2]]);
    expect(thin([], 400)).toEqual([]);
  });

  it('aligns arms on one axis, with null where an arm has no point', () => {
    expect(
      align([
        [
          [1, 10],
          [3, 30],
        ],
        [
          [2, 5],
          [3, 6],
        ],
      ]),
    ).toEqual({
      x: [1, 2, 3],
      y: [
        [10, null, 30],
        [null, 5, 6],
      ],
    });
  });

  it('marks the stages of the arm that has several', () => {
    const { arms, stages, charts } = reportCurves(input.metrics);
    expect(arms).toEqual(['coconut', 'cot', 'no-cot']);
    expect(stages).toEqual([0, 700, 900, 1150].map((step, i) => ({ x: step * 16, label: `stage ${i}` })));
    for (const { x, y } of charts) for (const column of y) expect(column).toHaveLength(x.length);
  });
});

describe('results', () => {
  it('print as a Markdown table and as JSON', () => {
    const lines = resultsTable(input.results.arms).split('\n');
    expect(lines[0].replace(/\s+/g, ' ')).toBe(
      '| mode | bptt | seed | samples | exact match | latents removed | tokens/sample | seconds/sample | step time | peak memory |',
    );
    expect(lines[2].replace(/\s+/g, ' ')).toBe(
      '| coconut | 2 | 7 | 24,000 | 0.994 | 0.126 | 6.1 | 0.0031 | 93 ms | 39.4 MiB |',
    );
    expect(new Set(lines.map(line => line.length)).size).toBe(1);
    expect(JSON.parse(formatResults(input.results))).toEqual(input.results);
  });
});

describe('report.html', () => {
  it('escapes all text and names nothing outside', () => {
    const metrics = input.metrics.map(record => ({ ...record, arm: `${record.arm}${HOSTILE}` }));
    const html = reportHtml({ ...input, metrics });
    expect(html).not.toContain('<script>window');
    expect(html).not.toContain('<img');
    expect(html).toContain(escapeHtml(HOSTILE));
    expect(html).not.toMatch(/\b(src|href)="(?!data:)/);
    expect(html).not.toMatch(/url\(|@import/);
  });

  it('renders a run of which nothing is known yet', () => {
    const html = reportHtml({
      ...input,
      metrics: [],
      samples: [],
      results: { adapter: 'none', seconds: 0, arms: [] },
    });
    expect(html).toContain('No model was evaluated');
    expect(html.match(/No records\./g)).toHaveLength(4);
  });
});

describe('colours', () => {
  /** WCAG's relative luminance of a colour such as #2563c9. */
  const luminance = (colour: string): number => {
    const channels = [1, 3, 5].map(at => Number.parseInt(colour.slice(at, at + 2), 16) / 255);
    const linear = channels.map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };

  it.each([
    ['light', '#ffffff'],
    ['dark', '#1b1d20'],
  ] as const)('are one a mode, and stand out from a %s card', (scheme, card) => {
    expect(STYLE).toContain(`--card: ${card}`);
    const colours = MODES.map(mode => MODE_COLOURS[mode][scheme]);
    expect(new Set(colours).size).toBe(MODES.length);
    for (const [i, colour] of colours.entries()) {
      expect(STYLE).toContain(`--${MODES[i]}: ${colour};`);
      const [low, high] = [luminance(colour), luminance(card)].sort((a, b) => a - b);
      expect((high + 0.05) / (low + 0.05), MODES[i]).toBeGreaterThan(3);
    }
  });
});

describe('report.html in Chromium', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await playwright.launch({
      executablePath: await chromium.executablePath(),
      args: ['--no-sandbox', '--headless=new', '--disable-background-networking', '--no-first-run'],
    });
  });
  afterAll(() => browser.close());

  it.each([
    ['light', 1200],
    ['dark', 390],
  ] as const)(
    'draws its curves, %s at %i pixels, without a request or an error',
    async (colorScheme, width) => {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } });
      const troubles: string[] = [];
      page.on('pageerror', error => troubles.push(error.message));
      page.on('console', message => troubles.push(message.text()));
      page.on('request', request => troubles.push(request.url()));
      // setContent asks for no address, so every request is the report's own.
      await page.setContent(reportHtml(input), { waitUntil: 'load' });
      await page.waitForFunction(() => document.querySelectorAll('canvas').length === 4);

      // Per chart: how many of the arms' own colours appear in its pixels.
      const drawn = await page.evaluate(async () => {
        await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        const style = getComputedStyle(document.documentElement);
        const colours = ['--coconut', '--cot', '--no-cot'].map(name =>
          [1, 3, 5].map(at =>
            Number.parseInt(
              style
                .getPropertyValue(name)
                .trim()
                .slice(at, at + 2),
              16,
            ),
          ),
        );
        return [...document.querySelectorAll('canvas')].map(canvas => {
          const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
          const near = (at: number, colour: number[]) =>
            data[at + 3] > 200 && colour.every((value, i) => Math.abs(data[at + i] - value) < 12);
          return colours.filter(colour => {
            let count = 0;
            for (let at = 0; at < data.length; at += 4) if (near(at, colour)) count++;
            return count > 50;
          }).length;
        });
      });
      // On the last chart cot runs as fast as no-cot and lies beneath it.
      expect(drawn.slice(0, 3)).toEqual([3, 3, 3]);
      expect(drawn[3]).toBeGreaterThanOrEqual(2);

      const seen = await page.evaluate(() => ({
        hacked: 'hacked' in window,
        overflow: document.documentElement.scrollWidth - innerWidth,
        thoughts: document.querySelectorAll('.thoughts > li').length,
        rows: document.querySelectorAll('.scroll tbody tr').length,
        text: document.body.textContent,
      }));
      expect(seen).toMatchObject({ hacked: false, overflow: 0, thoughts: 6, rows: 3 });
      expect(seen.text).toContain(HOSTILE);
      expect(troubles).toEqual([]);
      await page.close();
    },
  );

  it('follows a change of colour scheme and of width', async () => {
    const page = await browser.newPage({ colorScheme: 'light', viewport: { width: 1200, height: 800 } });
    await page.setContent(reportHtml(input), { waitUntil: 'load' });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 400, height: 800 });
    await page.waitForFunction(() =>
      [...document.querySelectorAll('canvas')].every(c => c.clientWidth < 400),
    );
    expect(await page.evaluate(() => document.querySelectorAll('canvas').length)).toBe(4);
    await page.close();
  });
});
