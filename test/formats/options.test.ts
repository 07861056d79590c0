import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TASKS } from '../../src/data/tasks.ts';
import { flagName, OPTION_KEYS, OPTIONS } from '../../src/train/option-table.ts';
import { type Resolved, resolveOptions, resumedOptions } from '../../src/train/options.ts';
import { PRESETS } from '../../src/train/presets.ts';
import type { AnyResult } from '../../src/train/results.ts';
import { optionsFromJson, optionsToJson } from '../../src/train/settings.ts';
import { userError } from './expect-error.ts';

/** `config` is what every file that is asked for holds. */
async function resolve(line: string, config: unknown = {}): Promise<Resolved> {
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  const resolved = await resolveOptions(line.split(' ').filter(Boolean), async () => text);
  if ('help' in resolved) throw new Error('unexpected help');
  return resolved;
}

const help = async (line: string) => {
  const resolved = await resolveOptions(line.split(' '), async () => '');
  return 'help' in resolved ? resolved.help : '';
};

describe('precedence', () => {
  it('takes the default preset when nothing is said', async () => {
    const { options, given } = await resolve('');
    expect(options).toMatchObject({
      preset: 'pointer',
      mode: 'coconut',
      nodes: 8,
      hops: [3, 3],
      steps: null,
      seed: 0,
    });
    expect(given.size).toBe(0);
    expect(Object.keys(options).sort()).toEqual([...OPTION_KEYS].sort());
  });

  it('lets flags win over the config file, and the file over the preset', async () => {
    const config = { preset: 'prosqa-mini', width: 48, batch: 8, 'stage-steps': 'auto', hops: 2 };
    const { options, given } = await resolve('--batch 4 --config c.json', config);
    expect(options).toMatchObject({ preset: 'prosqa-mini', width: 48, batch: 4, hops: [2, 2], maxEdges: 16 });
    expect([...given].sort()).toEqual(['batch', 'config', 'hops', 'preset', 'stageSteps', 'width']);
    expect((await resolve('--preset smoke --config c.json', { preset: 'prosqa' })).options.task).toBe(
      'pointer',
    );
  });

  it('reads every kind of value in both places', async () => {
    const flags =
      '--bptt full --lr 3e-4 --hops 2-4 --stage-steps 5,6,7,8 --micro-batch 2 --no-pad-latents --compare';
    const config = {
      bptt: 'full',
      lr: 3e-4,
      hops: [2, 4],
      'stage-steps': [5, 6, 7, 8],
      'micro-batch': 2,
      'pad-latents': false,
      compare: true,
    };
    const byFlags = (await resolve(flags)).options;
    expect({ ...(await resolve('--config c', config)).options, config: null }).toEqual(byFlags);
    expect(byFlags).toMatchObject({
      bptt: 'full',
      lr: 3e-4,
      hops: [2, 4],
      stageSteps: [5, 6, 7, 8],
      microBatch: 2,
      padLatents: false,
      compare: true,
    });
  });

  it('accepts every preset and gives it back from its JSON form', async () => {
    for (const preset of Object.keys(PRESETS)) {
      const { options } = await resolve(`--preset ${preset}`);
      expect(optionsFromJson(JSON.parse(JSON.stringify(optionsToJson(options))), 't')).toEqual(options);
      expect((await resolve('--config c', { ...optionsToJson(options), config: null })).options).toEqual({
        ...options,
        config: 'c',
      });
    }
  });
});

describe('--help', () => {
  it('shows every flag with the default of the preset asked for', async () => {
    const text = await help('--help');
    for (const key of OPTION_KEYS) expect(text).toContain(`--${flagName(key)}`);
    const flat = text.replace(/\s+/g, ' ');
    expect(flat.match(/\(default: /g)).toHaveLength(OPTION_KEYS.length);
    expect(flat).toContain('--nodes <n> nodes of a generated graph (default: 8)');
    expect(await help('--preset smoke -h')).toContain('nodes of a generated graph (default: 5)');
    expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(110);
  });
});

describe('faults of the command line', () => {
  it.each([
    ['--steps abc', '--steps must be a positive integer, got "abc"'],
    ['--steps 0', '--steps must be a positive integer, got "0"'],
    ['--steps 1e999', '--steps must be a positive integer, got "1e999"'],
    ['--steps', '--steps needs a value: a positive integer'],
    ['--steps --seed 3', '--steps must be a positive integer, got "--seed"'],
    ['--bptt 0', '--bptt must be a positive integer or full, got "0"'],
    ['--bptt -3', '--bptt must be a positive integer or full, got "-3"'],
    ['--bptt x', '--bptt must be a positive integer or full, got "x"'],
    ['--bptt 1.5', '--bptt must be a positive integer or full, got "1.5"'],
    ['--bptt=', '--bptt must be a positive integer or full, got ""'],
    ['--preset huge', '--preset must be smoke, pointer, prosqa-mini or prosqa, got "huge"'],
    [
      '--mode latent',
      '--mode must be coconut, cot, no-cot, no-thought, pause, no-curriculum, icot or lm, got "latent"',
    ],
    ['--adapter cpu', '--adapter must be auto, gpu or software, got "cpu"'],
    ['--seed -1', '--seed must be an integer from 0 to 4294967295, got "-1"'],
    ['--lr 0', '--lr must be a number above 0, got "0"'],
    ['--lr 0x10', '--lr must be a number above 0, got "0x10"'],
    ['--lr NaN', '--lr must be a number above 0, got "NaN"'],
    ['--lr 1e-3x', '--lr must be a number above 0, got "1e-3x"'],
    ['--beta2 1', '--beta2 must be a number of at least 0 and below 1, got "1"'],
    ['--uniform-prob 1.1', '--uniform-prob must be a number of at least 0 and at most 1, got "1.1"'],
    ['--hops 6-3', '--hops must be a number of at least 1 or a range such as 3-6, got "6-3"'],
    ['--stage-steps 1,,2', '--stage-steps must be positive integers such as 100,50,50 or auto, got "1,,2"'],
    ['--out --seed', '--out must be a folder, got "--seed"'],
    ['--data=', '--data must be a file, got ""'],
    ['--stpes 3', 'unknown flag --stpes; did you mean --steps? (--help lists all)'],
    ['-x', /^unknown flag -x; legal: --preset, --mode, /],
    ['--no-steps', /^unknown flag --no-steps; /],
    ['--zzzzzzzz=3', /^unknown flag --zzzzzzzz; legal: --preset, --mode, /],
    ['train', 'unexpected "train": every option starts with -- (see --help)'],
    // Legal one by one, not together.
    [
      '--mode cot --compare',
      '--compare contradicts --mode cot: it trains cot and no-cot beside a coconut model',
    ],
    ['--init a --resume b', '--init contradicts --resume: a resumed run goes on from its own checkpoint'],
    ['--resume a --out b', '--out contradicts --resume: a resumed run goes on in its own folder'],
    ['--data a --nodes 9', '--nodes contradicts --data: the file gives the samples, none are generated'],
    ['--valid a', '--valid needs --data: a generated task brings its own unseen samples'],
    ['--hops 8', '--hops 8 needs more than 8 nodes: raise --nodes'],
    ['--init a --width 32', '--width contradicts --init: the model in that folder decides'],
    ['--init a --positions 32', '--positions contradicts --init: the model in that folder decides'],
    ['--positions 1', '--positions must be an integer of at least 2 or auto, got "1"'],
    ['--width 30', '--width 30 is not divisible by --heads 4'],
    [
      '--schedule cosine',
      '--schedule cosine needs an end: give --samples, --steps, or --stage-steps as a list',
    ],
    [
      '--stage-steps 5,5',
      '--stage-steps names 2 stages, but --max-latent-stage 3 makes 4, or 5 with one that drops all steps left',
    ],
    [
      '--stage-steps 5,5,5,5 --stage-accuracy 0.8',
      '--stage-accuracy contradicts a fixed --stage-steps: it belongs to --stage-steps auto',
    ],
    [
      '--mode pause --stage-steps 5,5',
      '--stage-steps names 2 stages, but --max-latent-stage 3 makes 4, or 5 with one that drops all steps left',
    ],
    [
      '--feedback linear --feedback-scale auto',
      '--feedback-scale contradicts --feedback linear: its bridge learns a length',
    ],
    [
      '--feedback soft --feedback-scale 0.5',
      '--feedback-scale contradicts --feedback soft: it feeds back embeddings',
    ],
    ['--feedback-scale 0', '--feedback-scale must be a number above 0 or auto, got "0"'],
    ...['--feedback soft', '--feedback-scale 2', '--latents jacobi:2', '--step-supervision 1'].map(
      (flag): [string, string] => [
        `--mode pause ${flag}`,
        `${flag.split(' ')[0]} contradicts --mode pause: it feeds no thought back`,
      ],
    ),
    ['--mode cot --uniform-prob 0.2', '--uniform-prob contradicts --mode cot: it has one stage'],
    [
      '--mode no-curriculum --stage-accuracy 0.5',
      '--stage-accuracy contradicts --mode no-curriculum: it has one stage',
    ],
    [
      '--mode no-thought --end-marker always',
      '--end-marker contradicts --mode no-thought: it has no latents, and no markers',
    ],
    [
      '--mode lm --data a.txt --steps 9 --stage-steps 4',
      '--stage-steps contradicts --steps: a text has one stage, which ends with the steps',
    ],
    ['--icot-tokens 3', '--icot-tokens contradicts --mode coconut: only icot drops steps token by token'],
    ['--mode lm --steps 9', '--mode lm needs --data: the text that it learns'],
    ['--mode lm --data a.txt', '--mode lm needs an end: give --steps, --samples, or --stage-steps as a list'],
    [
      '--mode lm --data a.txt --steps 9 --compare',
      '--compare contradicts --mode lm: it trains cot and no-cot beside a coconut model',
    ],
    [
      '--mode lm --data a.txt --steps 9 --max-latent-stage 2',
      '--max-latent-stage contradicts --mode lm: a text has no questions, steps and answers',
    ],
    ['--mode lm --data a.txt --steps 9 --bptt 1', '--bptt contradicts --mode lm: it feeds no thought back'],
    [
      '--mode lm --data a.txt --steps 9 --feedback-scale auto',
      '--feedback-scale contradicts --mode lm: it feeds no thought back',
    ],
    ['--row-tokens 64', '--row-tokens contradicts --mode coconut: samples decide how long their rows are'],
    ['--init m --tokenizer t.json', '--tokenizer contradicts --init: the model in that folder decides'],
    [
      '--samples 100 --final-accuracy 0.9',
      '--final-accuracy contradicts --samples: the last stage lasts until then, however good it is',
    ],
  ])('%s', async (line, fault) => {
    const message = await userError(() => resolve(line));
    if (typeof fault === 'string') expect(message).toBe(fault);
    else expect(message).toMatch(fault);
  });

  it('allows what only looks like a contradiction', async () => {
    await resolve('--schedule cosine --steps 100');
    await resolve('--schedule cosine --samples 100');
    await resolve('--mode cot --stage-steps 500'); // One stage: their sum.
    await resolve('--mode icot --icot-tokens 3 --stage-steps 5,5'); // What fits is for the data to say.
    await resolve('--data a.json --valid b.json');
    await resolve('--resume a --out a');
    await resolve('--mode cot --bptt full');
  });

  it('never throws anything but a UserError', async () => {
    const word = fc.oneof(
      fc.constantFrom(
        ...OPTION_KEYS.map(key => `--${flagName(key)}`),
        '--',
        '-',
        '--no-compare',
        '3',
        'full',
        '1e-3',
        'smoke',
      ),
      fc.string({ maxLength: 6 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 5 }), async words => {
        try {
          await resolveOptions(words, async () => '{}');
        } catch {
          await userError(() => resolveOptions(words, async () => '{}'));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('faults of the config file', () => {
  it.each([
    ['', 'c.json: the file is empty, expected JSON'],
    ['{"steps": 1,\n', /^c\.json: not valid JSON: /],
    [[1], 'c.json: expected a JSON object of options, got [1]'],
    [{ steps: 'abc' }, 'c.json: "steps" must be a positive integer, got "abc"'],
    [{ steps: '100' }, 'c.json: "steps" must be a positive integer, got "100"'],
    [{ lr: null }, 'c.json: "lr" must be a number above 0, got null'],
    [{ compare: 'yes' }, 'c.json: "compare" must be true or false, got "yes"'],
    [{ microBatch: 3 }, 'c.json: unknown option "microBatch"; did you mean micro-batch? (--help lists all)'],
    [{ preset: 'x' }, 'c.json: "preset" must be smoke, pointer, prosqa-mini or prosqa, got "x"'],
    [{ config: 'd.json' }, 'c.json: a config file cannot name another ("config")'],
    [{ constructor: 1 }, /^c\.json: unknown option "constructor"; /],
    [{ width: 30 }, '--width 30 is not divisible by --heads 4'],
  ])('%j', async (config, fault) => {
    const message = await userError(() => resolve('--config c.json', config));
    if (typeof fault === 'string') expect(message).toBe(fault);
    else expect(message).toMatch(fault);
  });
});

describe('a resumed run', () => {
  it('keeps its options, may change what cannot change the outcome, and refuses the rest', async () => {
    const saved = (await resolve('--preset smoke --seed 5 --out runs/a')).options;
    const resumed = async (line: string) =>
      resumedOptions(await resolve(`--resume runs/a ${line}`), { options: saved, finished: [] });
    expect(await resumed('')).toEqual({ ...saved, resume: 'runs/a' });
    expect(await resumed('--steps 9 --samples 99 --adapter software --seed 5 --width 32')).toEqual({
      ...saved,
      resume: 'runs/a',
      steps: 9,
      samples: 99,
      adapter: 'software',
    });
    // The run's folder may have moved since, and a cosine's length is part of the run.
    const moved = await resolve('--resume runs/b --out runs/b --steps 9');
    expect(resumedOptions(moved, { options: saved, finished: [] }).out).toBe('runs/b');
    const falling = { ...saved, schedule: 'cosine', steps: 50 } as const;
    expect(await userError(() => resumedOptions(moved, { options: falling, finished: [] }))).toBe(
      '--steps 9 contradicts --resume: the run has --steps 50',
    );
    const finished = [{}] as unknown as readonly AnyResult[];
    expect(await userError(() => resumedOptions(moved, { options: saved, finished }))).toBe(
      '--steps 9 contradicts --resume: the first model of this --compare has ended, and the others get what it got',
    );
    expect(resumedOptions(moved, { options: { ...saved, steps: 9 }, finished }).steps).toBe(9);
    expect(await userError(() => resumed('--lr 0.1'))).toBe(
      '--lr 0.1 contradicts --resume: the run has --lr 0.002',
    );
    expect(await userError(() => resumed('--preset prosqa'))).toBe(
      '--preset prosqa contradicts --resume: the run has --preset smoke',
    );
  });
});

describe('the table', () => {
  it('holds legal defaults and a value of every preset-dependent option', () => {
    for (const [name, preset] of Object.entries(PRESETS)) {
      for (const key of OPTION_KEYS) {
        const row = OPTIONS[key];
        const value = (preset as Record<string, unknown>)[key] ?? (row.perPreset ? null : row.fallback);
        expect(row.kind.accept(value as never), `${name}: ${key}`).toEqual(value);
      }
      const stages = preset.stageSteps;
      if (stages !== 'auto') expect(stages.length - preset.maxLatentStage).toBeOneOf([1, 2]);
      TASKS[preset.task].check(preset);
      expect(preset.width % preset.heads).toBe(0);
    }
  });
});
