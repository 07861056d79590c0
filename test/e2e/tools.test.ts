// The tools that ask a trained model: evaluate on a file of samples, generate on one question.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { formatSamples, type Sample } from '../../src/data/sample.ts';
import { generatedSource } from '../../src/data/source.ts';
import type { Control } from '../../src/eval/control.ts';
import type { EvaluationReport } from '../../src/eval/report.ts';
import { results, scratch, succeed, TINY } from './child.ts';

const SAMPLES = 40;

const folder = scratch();
const out = join(folder, 'run');
const model = join(out, 'final');
const data = join(folder, 'test.json');
let samples: readonly Sample[] = [];

beforeAll(async () => {
  const task = '--nodes 5 --hops 1 --max-latent-stage 1 --latents-per-step 2';
  const long = '--stage-steps 80,60 --lr 0.005 --checkpoint-every 100 --stage-check-every 100';
  await succeed('train.ts', `${TINY} ${task} ${long} --eval-samples ${SAMPLES} --out ${out}`);
  // What the run was evaluated on: the unseen samples of its task and seed.
  const source = generatedSource('pointer', { nodes: 5, hops: [1, 1], maxEdges: null }, 0, 'test');
  samples = Array.from({ length: SAMPLES }, (_, i) => source.at(i));
  writeFileSync(data, formatSamples(samples));
});

describe('evaluate', () => {
  const evaluate = (...flags: string[]) =>
    succeed('tools/evaluate.ts', ['--model', model, '--data', data, ...flags]);
  const json = async (...flags: string[]) => JSON.parse(await evaluate('--json', ...flags));

  test('comes to what the run came to, as JSON and as text', async () => {
    const [arm] = results(out).arms;
    expect(arm!.exactMatch).toBeGreaterThan(0); // Else the equalities below would say little.
    const [object, text] = await Promise.all([json(), evaluate()]);
    const { mode, exactMatch, exactMatchNoLatents, tokensPerSample } = arm!;
    expect(object).toEqual({
      ...{ mode, samples: SAMPLES, exactMatch, exactMatchNoLatents, tokensPerSample },
      ...{ secondsPerSample: expect.any(Number), controls: [], inspect: null, halt: null },
    });
    expect(text.split('\n').slice(0, 5)).toEqual([
      expect.stringMatching(/^adapter: /),
      `${SAMPLES} samples, mode coconut`,
      `exact match            ${exactMatch.toFixed(3)}`,
      `with latents removed   ${exactMatchNoLatents!.toFixed(3)}`,
      `tokens a sample        ${tokensPerSample.toFixed(1)} (latents counted)`,
    ]);
    expect(text).toMatch(/^seconds a sample +[\d.e-]+\n$/m);
  });

  test('--task asks what the run was evaluated on, and is inspected, controlled and halted', async () => {
    const [arm] = results(out).arms;
    const task = `--task pointer --nodes 5 --hops 1 --count ${SAMPLES} --seed 0 --json`.split(' ');
    const flags = '--controls all --inspect --halt state:0 --max-latents 3'.split(' ');
    const report: EvaluationReport = JSON.parse(
      await succeed('tools/evaluate.ts', ['--model', model, ...task, ...flags]),
    );
    expect(report.exactMatch).toBe(arm!.exactMatch);
    // The run's own controls are those over all thoughts, its look inside that of the same samples.
    expect(report.controls.filter(({ thought }) => thought === null)).toEqual(arm!.controls);
    expect(report.controls).toHaveLength(6 + 4 * 2);
    expect(report.inspect).toEqual(arm!.inspection);
    expect(report.inspect!.forced.map(({ thoughts }) => thoughts)).toEqual([0, 2]);
    expect(report.halt).toMatchObject({ rule: 'state', threshold: 0, maxThoughts: 3, meanThoughts: 3 });
    // A trained model ends by itself, so the answer asked for after as many thoughts as trained is the ordinary one.
    expect(report.halt!.fixed[2]!.exactMatch).toBe(arm!.exactMatch);
  });

  test('--control may be given several times, over all thoughts or one', async () => {
    const flags = ['--control', 'snap:2', '--control', 'noise', '--seed', '3'];
    const [one, again] = await Promise.all([json(...flags), json(...flags)]);
    expect(one.controls.map(({ control, thought }: Control) => [control, thought])).toEqual([
      ['snap', 2],
      ['noise', null],
    ]);
    expect(again.controls).toEqual(one.controls);
  });

  test('--limit takes the first samples, --latents another number of thoughts', async () => {
    const few = join(folder, 'few.json');
    writeFileSync(few, formatSamples(samples.slice(0, 7)));
    const [limited, same, none, more] = await Promise.all([
      json('--limit', '7'),
      json('--data', few),
      json('--latents', '0'),
      json('--latents', '5'),
    ]);
    expect({ ...limited, secondsPerSample: 0 }).toEqual({ ...same, secondsPerSample: 0 });
    expect(limited.samples).toBe(7);
    expect(none).toMatchObject({ samples: SAMPLES, exactMatchNoLatents: null });
    expect(more.exactMatchNoLatents).toEqual(expect.any(Number));
    expect(more.tokensPerSample).toBeGreaterThan(5);
  });
});

describe('generate', () => {
  const lines = async (...flags: string[]): Promise<string[]> =>
    (await succeed('tools/generate.ts', ['--model', model, '--prompt', samples[0]!.question, ...flags]))
      .replace(/\n$/, '')
      .split('\n');

  test('writes the answer, and with --thoughts what each thought is near to', async () => {
    const [plain, thoughts, three] = await Promise.all([
      lines(),
      lines('--thoughts', '--top', '2'),
      lines('--thoughts', '--latents', '3'),
    ]);
    expect(plain).toHaveLength(1);
    expect(plain[0]).toMatch(/^### \d/);
    expect(thoughts).toHaveLength(3);
    expect(thoughts[2]).toBe(plain[0]);
    for (const [i, line] of thoughts.slice(0, 2).entries()) {
      expect(line).toMatch(new RegExp(`^thought ${i + 1}: \\S+ [01]\\.\\d{3}  \\S+ [01]\\.\\d{3}$`));
      const [first, second] = [...line.matchAll(/ ([01]\.\d{3})/g)].map(([, p]) => Number(p));
      expect(first).toBeGreaterThanOrEqual(second!);
      expect(first! + second!).toBeLessThanOrEqual(1.001);
    }
    expect(three.slice(0, -1).map(line => line.split(':')[0])).toEqual([
      'thought 1',
      'thought 2',
      'thought 3',
    ]);
  });

  test('draws with --temperature and --top-k as the seed says', async () => {
    const hot = ['--temperature', '50', '--max-tokens', '12'];
    const [one, again, other, top, greedy] = await Promise.all([
      lines(...hot, '--seed', '1'),
      lines(...hot, '--seed', '1'),
      lines(...hot, '--seed', '2'),
      lines(...hot, '--seed', '1', '--top-k', '1'),
      lines('--max-tokens', '12'),
    ]);
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
    expect(top).toEqual(greedy); // The likeliest token, however hot.
  });
});
