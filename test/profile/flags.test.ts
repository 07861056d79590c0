// The profiler's command line: whose flag is whose on either side of train.ts.
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { readProfileFlags } from '../../tools/profile/flags.ts';
import { profilerOf } from '../../tools/profile/measure.ts';

const read = (text: string) => readProfileFlags(text.split(' ').filter(Boolean));

describe('flags', () => {
  it('have defaults', () => {
    expect(read('train.ts')).toEqual({ flags: { steps: 5 }, train: [] });
  });

  it("before train.ts are the profiler's, after it those of train.ts", () => {
    expect(read('--steps 3 --out p.html train.ts --steps 400 --out runs/x --preset smoke')).toEqual({
      flags: { steps: 3, out: 'p.html' },
      train: ['--steps', '400', '--out', 'runs/x', '--preset', 'smoke'],
    });
  });

  it('that train.ts cannot mean are the profiler’s on either side', () => {
    const flags = { steps: 5, stage: 2, trace: 't.json', out: 'p.html' };
    const train = ['--preset', 'smoke', '--batch=4'];
    expect(read('train.ts --preset smoke --stage 2 --trace t.json --out p.html --batch=4')).toEqual({
      flags,
      train,
    });
    expect(read('--stage=2 ./train.ts --preset smoke --trace=t.json --batch=4 --out=p.html')).toEqual({
      flags,
      train,
    });
  });

  it("after a further -- are the profiler's again", () => {
    expect(read('train.ts --steps 400 -- --steps 3 --stage 1')).toEqual({
      flags: { steps: 3, stage: 1 },
      train: ['--steps', '400'],
    });
  });

  it('hand an adapter on', () => {
    expect(read('--adapter software train.ts --adapter gpu')).toEqual({
      flags: { steps: 5, adapter: 'software' },
      train: ['--adapter', 'gpu', '--adapter', 'software'],
    });
  });

  it.each([
    ['', /say what to profile: npm run profile -- train\.ts/],
    ['--steps 3', /say what to profile/],
    ['tools/generate.ts --prompt x', /tools\/generate\.ts cannot be profiled, only train\.ts can/],
    ['--steps 0 train.ts', /--steps must be an integer from 1 to 1000, got "0"/],
    ['--steps train.ts', /--steps <n>' argument missing/],
    ['--stage -1 train.ts', /--stage must be an integer of at least 0, got "-1"/],
    ['train.ts --stage x', /--stage must be an integer of at least 0, got "x"/],
    ['train.ts --trace', /--trace <file>' argument missing/],
    ['--adapter cpu train.ts', /--adapter must be auto, gpu or software, got "cpu"/],
    ['--colour train.ts', /unknown option '--colour'/],
    ['extra train.ts', /too many arguments/],
  ])('of "%s" are refused in one line', (text, says) => {
    const refused = () => read(text);
    expect(refused).toThrow(UserError);
    expect(refused).toThrow(says);
    expect(refused).not.toThrow(/\n/);
  });
});

describe('an adapter without timestamp queries', () => {
  it('is refused in one line that names it', () => {
    const info = { description: 'Some GPU' } as GPUAdapterInfo;
    const refused = () => profilerOf({ profiler: undefined, info });
    expect(refused).toThrow(UserError);
    expect(refused).toThrow(
      /^this adapter \(Some GPU\) has no timestamp queries, .*--adapter.*npm run bench$/,
    );
  });
});
