// Runs a declared experiment, cell by cell, and keeps its results: node tools/experiment.ts NAME. What has been done is
// not done again, so that an interrupted experiment goes on where it was.
import { pathToFileURL } from 'node:url';
import { UserError } from '../src/errors.ts';
import { nodeFiles as files } from '../src/platform/files.ts';
import { onInterrupt, runMain } from '../src/platform/main.ts';
import type { AdapterChoice } from '../src/platform/node.ts';
import { choice, integer, path, real } from '../src/train/option-kinds.ts';
import type { Experiment } from './experiment/experiment.ts';
import { listCells, listExperiments } from './experiment/list.ts';
import { EXPERIMENTS } from './experiment/matrix/index.ts';
import { Session } from './experiment/session.ts';
import { command, legal, parseFlags } from './flags.ts';

interface Flags {
  readonly seeds?: number;
  readonly budget?: number;
  readonly only?: readonly string[];
  readonly list?: true;
  readonly verify?: string | true;
  readonly adapter: AdapterChoice;
  readonly out?: string;
  readonly runs: string;
}

const ABOUT = `
An experiment is a file in tools/experiment/matrix: a question, arms, and which figures are shown. A cell is an arm with
a seed: a run of train.ts and evaluations of its model, in a folder of its own under --runs, shared with every experiment
that has the same cell. Results are written after each cell: results/NAME.json, and docs/results/NAME.md with tables and
plots. Ctrl-C keeps what is done; the same command goes on. With nothing left to do it changes nothing.

Without NAME: the experiments and how long they take on two quiet cores; on shared ones it has been two to four times
as long.`;

const program = command('experiment', 'Runs a declared experiment and keeps its results.')
  .argument(
    '[name]',
    `${EXPERIMENTS.map(({ name }) => name).join(', ')}, or a file that exports one as its default`,
  )
  .option(
    '--seeds <n>',
    'seeds of each arm, from 0 on (default: what the experiment says, at least 3)',
    legal('--seeds', integer(1)),
  )
  .option(
    '--budget <minutes>',
    'starts no cell that would not be done by then',
    legal('--budget', real(0, Number.POSITIVE_INFINITY, 'open')),
  )
  .option(
    '--only <arm>',
    'runs only this arm; repeatable',
    (text: string, before: readonly string[] = []) => [...before, text],
  )
  .option('--list', 'shows the cells and what would be run')
  .option(
    '--verify [id]',
    'runs a finished cell again, elsewhere, and compares all figures but times; without an id the quickest',
  )
  .option(
    '--adapter <which>',
    'auto, gpu or software; an experiment is of one adapter',
    legal('--adapter', choice('auto', 'gpu', 'software')),
    'auto',
  )
  .option(
    '--out <dir>',
    'folder of the results, instead of results and docs/results',
    legal('--out', path('dir')),
  )
  .option('--runs <dir>', 'folder of the runs', legal('--runs', path('dir')), 'runs/experiments')
  .addHelpText('after', ABOUT);

await runMain(async () => {
  const flags = parseFlags<Flags>(program, process.argv.slice(2));
  if (!flags) return;
  const [name] = program.args;
  if (name === undefined) return console.log(listExperiments(EXPERIMENTS));
  const experiment = await find(name);
  for (const arm of flags.only ?? [])
    if (!experiment.arms.some(other => other.name === arm))
      throw new UserError(
        `--only ${arm}: ${experiment.name} has no such arm; it has ${experiment.arms.map(other => `"${other.name}"`).join(', ')}`,
      );
  const session = await Session.open(experiment, { ...flags, seeds: flags.seeds ?? experiment.seeds }, files);
  if (flags.list) return console.log(listCells(session));
  const stopping = onInterrupt(() => session.interrupt());
  if (flags.verify !== undefined) await session.verify(flags.verify === true ? null : flags.verify);
  else await session.run(flags.budget ?? null, stopping);
});

async function find(name: string): Promise<Experiment> {
  const known = EXPERIMENTS.find(experiment => experiment.name === name);
  if (known) return known;
  const names = EXPERIMENTS.map(experiment => experiment.name).join(', ');
  if (!name.endsWith('.ts')) throw new UserError(`unknown experiment "${name}": there are ${names}`);
  if (!(await files.exists(name))) throw new UserError(`${name}: no such file`);
  const module = (await import(pathToFileURL(name).href)) as { readonly default?: Experiment };
  if (!Array.isArray(module.default?.arms))
    throw new UserError(`${name}: exports no experiment as its default`);
  return module.default;
}
