// The folder of a run and of the arms in it. Knows names; knows nothing of what is trained.
import type { Mode } from '../data/curriculum.ts';
import { UserError } from '../errors.ts';
import type { Files } from '../files.ts';
import type { Arm } from './arm.ts';
import { type Checkpoint, latestCheckpoint, readCheckpoint, readTrainer } from './checkpoint.ts';
import type { TrainOptions } from './option-table.ts';

/** What --compare trains beside a coconut model, in folders below its own. */
const COMPARED: readonly Mode[] = ['cot', 'no-cot'];

/** What a run writes into its folder. */
const OWN: readonly string[] = [
  'metrics.jsonl',
  'checkpoints',
  'final',
  'results.json',
  'report.html',
  'samples.json',
  ...COMPARED,
];

/** The models that a run trains, one after another. */
export function armModes({ compare, mode }: TrainOptions): readonly Arm[] {
  return compare ? [mode, ...COMPARED] : [mode];
}

/** Folder of an arm's checkpoints and final model: the run's own for the first, one below it for the others. */
export function armFolder(out: string, mode: Arm, options: TrainOptions): string {
  return mode === armModes(options)[0] ? out : `${out}/${mode}`;
}

/** The newest checkpoint of the run in `dir`: of its latest arm. Throws UserError where there is none. */
export async function newestCheckpoint(dir: string, files: Files): Promise<Checkpoint> {
  return readCheckpoint(files, await newestCheckpointFolder(dir, files, '--resume'));
}

/** Its folder; `flag` is what named the run, for messages. */
export async function newestCheckpointFolder(dir: string, files: Files, flag: string): Promise<string> {
  if (!(await files.exists(dir))) throw new UserError(`${flag} ${dir}: no such folder`);
  const first = await latestCheckpoint(files, dir);
  if (first === undefined)
    throw new UserError(`${flag} ${dir}: holds no checkpoint; start the run with node train.ts --out ${dir}`);
  // A folder of that name may also hold another run.
  if (!(await readTrainer(files, first)).options.compare) return first;
  for (const arm of COMPARED.map(mode => `${dir}/${mode}`).reverse()) {
    const path = (await files.exists(arm)) ? await latestCheckpoint(files, arm) : undefined;
    if (path !== undefined) return path;
  }
  return first;
}

/** Makes the folder of a new run, with an earlier run's files moved aside into it. Returns where to, if anywhere. */
export async function makeRunFolder(out: string, files: Files): Promise<string | undefined> {
  await files.makeFolder(out);
  const present = (await files.list(out)).filter(name => OWN.includes(name));
  if (present.length === 0) return undefined;
  let n = 1;
  while (await files.exists(`${out}/earlier-${n}`)) n++;
  await files.makeFolder(`${out}/earlier-${n}`);
  for (const name of present) await files.move(`${out}/${name}`, `${out}/earlier-${n}/${name}`);
  return `${out}/earlier-${n}`;
}
