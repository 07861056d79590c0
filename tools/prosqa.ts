// Writes a file of ProsQA samples: node tools/prosqa.ts --count 17886 --seed 1 --out train.json
// Knows the flags; the samples are src/data's, the file src/platform's.
import { Command, CommanderError } from 'commander';
import { PROSQA_DEFAULTS, prosqaSample } from '../src/data/prosqa.ts';
import { formatSamples } from '../src/data/sample.ts';
import { TASKS } from '../src/data/tasks.ts';
import { UserError } from '../src/errors.ts';
import { type Json, show } from '../src/json.ts';
import { nodeFiles } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { integer, type Kind, path, range } from '../src/train/option-kinds.ts';

// The file is made as one text, and a JavaScript string ends at 512 MiB; a sample is 1.5 kB.
const MOST_SAMPLES = 200_000;

const HOPS = range(1);

interface Flags {
  readonly count: number;
  readonly seed: number;
  readonly out: string;
  readonly nodes: number;
  readonly hops: readonly [number, number];
}

/** null after `--help`, which has printed itself. */
function readFlags(argv: readonly string[]): Flags | null {
  const { nodes, hops } = PROSQA_DEFAULTS;
  const command = new Command('node tools/prosqa.ts')
    .description('Writes ProsQA samples, distributed like the published ones, in the published JSON form.')
    .requiredOption('--count <n>', 'samples to write', legal('--count', integer(1, MOST_SAMPLES)))
    .option('--seed <n>', 'sample i depends on the seed and i alone', legal('--seed', integer(0)), 0)
    .requiredOption('--out <file>', 'JSON file to write or replace', legal('--out', path('file')))
    .option('--nodes <n>', 'nodes to grow; isolated ones are dropped', legal('--nodes', integer(1)), nodes)
    .option('--hops <a-b>', `hops from root to target (default: ${HOPS.show(hops)})`, legal('--hops', HOPS))
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .configureOutput({ writeErr: () => {} })
    .exitOverride();
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    throw new UserError(error.message.replace(/^error: /, ''));
  }
  return { hops, ...command.opts<Omit<Flags, 'hops'> & Partial<Pick<Flags, 'hops'>>>() };
}

/** A flag's text as a value of its kind, or a UserError that says what would be one. */
function legal<T extends Json>(flag: string, kind: Kind<T>): (text: string) => T {
  return text => {
    const value = kind.accept(kind.fromText(text));
    if (value === undefined) throw new UserError(`${flag} must be ${kind.legal}, got ${show(text)}`);
    return value;
  };
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv.slice(2));
  if (flags === null) return;
  const { count, seed, out, nodes, hops } = flags;
  const options = { nodes, hops, maxEdges: null };
  TASKS.prosqa.check(options);
  const samples = Array.from({ length: count }, (_, index) => prosqaSample(seed, index, options));
  await nodeFiles.writeAtomic(out, formatSamples(samples));
  console.log(`${out}: ${count} samples`);
}

await runMain(main);
