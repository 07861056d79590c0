// Writes a file of ProsQA samples: node tools/prosqa.ts --count 17886 --seed 1 --out train.json
// Knows the flags; the samples are src/data's, the file src/platform's.
import { PROSQA_DEFAULTS, prosqaSample } from '../src/data/prosqa.ts';
import { formatSamples } from '../src/data/sample.ts';
import { TASKS } from '../src/data/tasks.ts';
import { nodeFiles } from '../src/platform/files.ts';
import { runMain } from '../src/platform/main.ts';
import { integer, path, range } from '../src/train/option-kinds.ts';
import { command, legal, parseFlags } from './flags.ts';

// The file is made as one text, and a JavaScript string ends at 512 MiB; a sample is 1.5 kB.
const MOST_SAMPLES = 200_000;

const HOPS = range(1);

interface Flags {
  readonly count: number;
  readonly seed: number;
  readonly out: string;
  readonly nodes: number;
  readonly hops?: readonly [number, number];
}

const { nodes: NODES, hops: DEFAULT_HOPS } = PROSQA_DEFAULTS;

const program = command(
  'prosqa',
  'Writes ProsQA samples, distributed like the published ones, in the published JSON form.',
)
  .requiredOption('--count <n>', 'samples to write', legal('--count', integer(1, MOST_SAMPLES)))
  .option('--seed <n>', 'sample i depends on the seed and i alone', legal('--seed', integer(0)), 0)
  .requiredOption('--out <file>', 'JSON file to write or replace', legal('--out', path('file')))
  .option('--nodes <n>', 'nodes to grow; isolated ones are dropped', legal('--nodes', integer(1)), NODES)
  .option(
    '--hops <a-b>',
    `hops from root to target (default: ${HOPS.show(DEFAULT_HOPS)})`,
    legal('--hops', HOPS),
  );

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const { count, seed, out, nodes, hops = DEFAULT_HOPS } = flags;
  const options = { nodes, hops, maxEdges: null };
  TASKS.prosqa.check(options);
  const samples = Array.from({ length: count }, (_, index) => prosqaSample(seed, index, options));
  await nodeFiles.writeAtomic(out, formatSamples(samples));
  console.log(`${out}: ${count} samples`);
});
