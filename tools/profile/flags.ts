// The profiler's command line: which words are its own and which are those of the run that it profiles. Knows the
// words of both; knows no device.
import { basename } from 'node:path';
import { UserError } from '../../src/errors.ts';
import type { AdapterChoice } from '../../src/platform/node.ts';
import { choice, integer, path } from '../../src/train/option-kinds.ts';
import { command, legal, parseFlags } from '../flags.ts';

export interface ProfileFlags {
  /** Measured steps, after as many that are not. */
  readonly steps: number;
  /** Stage of the curriculum; undefined for the run's last one. */
  readonly stage?: number;
  /** Path of the HTML file; undefined for profile.html in the run's folder. */
  readonly out?: string;
  /** Path of the Chrome trace. */
  readonly trace?: string;
  readonly adapter?: AdapterChoice;
}

const ABOUT = `
What stands after train.ts is read as train.ts reads it, and nothing is trained or saved. There, --steps, --out and
--adapter are those of train.ts, but an --out that ends in .html is the profile; --stage and --trace are the
profiler's on either side. After a further -- all flags are the profiler's again:
  npm run profile -- train.ts --preset pointer --trace runs/trace.json
  npm run profile -- --steps 10 --out profile.html train.ts --preset prosqa-mini --batch 32
  npm run profile -- train.ts --preset prosqa-mini --batch 32 -- --steps 10`;

const program = () =>
  command('profile', 'Times every kernel of a training step, and shows which part of the step it served.')
    .usage('[options] train.ts [flags of train.ts]')
    .option('--steps <n>', 'steps that are measured', legal('--steps', integer(1, 1000)), 5)
    .option(
      '--stage <n>',
      'stage of the curriculum; by default the last, with all latents',
      legal('--stage', integer(0)),
    )
    .option(
      '--out <file>',
      "flame chart and table as HTML; by default profile.html in the run's folder",
      legal('--out', path('file')),
    )
    .option(
      '--trace <file>',
      'also a trace in Chrome’s format, for ui.perfetto.dev',
      legal('--trace', path('file')),
    )
    .option(
      '--adapter <which>',
      'auto, gpu or software',
      legal('--adapter', choice('auto', 'gpu', 'software')),
    )
    .addHelpText('after', ABOUT);

/**
 * The profiler's flags, checked, and the words for train.ts; null after --help, which has printed itself. Throws
 * UserError of one line.
 */
export function readProfileFlags(
  argv: readonly string[],
): { readonly flags: ProfileFlags; readonly train: readonly string[] } | null {
  const at = argv.findIndex(word => basename(word) === 'train.ts');
  const { own, train } = splitWords(at < 0 ? argv : argv.slice(0, at), at < 0 ? [] : argv.slice(at + 1));
  const unknown = at < 0 ? own.find(word => /^[^-].*\.ts$/.test(word)) : undefined;
  if (unknown !== undefined) throw new UserError(`${unknown} cannot be profiled, only train.ts can`);
  const flags = parseFlags<ProfileFlags>(program(), own);
  if (!flags) return null;
  if (at < 0)
    throw new UserError(
      'say what to profile: npm run profile -- train.ts, with the flags of the run (see --help)',
    );
  return { flags, train: flags.adapter ? [...train, '--adapter', flags.adapter] : train };
}

/** `before` and `after` the word train.ts. Values are taken along with their flags, as `--flag value` or `--flag=value`. */
export function splitWords(
  before: readonly string[],
  after: readonly string[],
): { own: string[]; train: string[] } {
  const own = [...before];
  const train: string[] = [];
  for (let i = 0; i < after.length; i++) {
    const word = after[i]!;
    if (word === '--') {
      own.push(...after.slice(i + 1));
      break;
    }
    const [name, attached] = word.split(/=(.*)/s) as [string, string?];
    const value = attached ?? after[i + 1];
    const ours =
      name === '--stage' || name === '--trace' || (name === '--out' && /\.html?$/i.test(value ?? ''));
    (ours ? own : train).push(word);
    if (ours && attached === undefined && value !== undefined) {
      own.push(value);
      i++;
    }
  }
  return { own, train };
}
