// Runs one cell, or what is left of it, and gives its record. A cell has a folder, named by its identity, in which train.ts
// and the looks keep what they have done: so a killed cell goes on, and another experiment finds the cell done.
import { UserError } from '../../src/errors.ts';
import type { Files } from '../../src/files.ts';
import { type Json, parseJson } from '../../src/json.ts';
import { latestCheckpoint } from '../../src/train/checkpoint.ts';
import { parseMetrics } from '../../src/train/metrics.ts';
import { flagName, type OptionKey, showOption } from '../../src/train/option-table.ts';
import type { RunResults } from '../../src/train/results.ts';
import { lastStage } from '../../src/train/schedule.ts';
import type { Cell, MeasuringCell, TrainingCell } from './cell.ts';
import type { Children } from './children.ts';
import type { Look } from './experiment.ts';
import type { CellRecord, Looked, Trained } from './record.ts';

export interface Surroundings {
  readonly files: Files;
  readonly children: Children;
  /** Folder of the cells' folders: those of one adapter. */
  readonly runs: string;
  /** As train.ts takes it, and the name of what it finds. */
  readonly adapter: { readonly flag: string; readonly name: string };
  /** The commit that is checked out. */
  commit(): string;
  /** The time, ISO 8601. */
  now(): string;
  /** Lines of what runs. */
  line(text: string): void;
}

export function folderOf(cell: Pick<Cell, 'id'>, { runs }: Pick<Surroundings, 'runs'>): string {
  return `${runs}/${cell.id}`;
}

/** Whether the cell's model lies in its folder, whole. */
export async function isTrained(cell: Cell, around: Surroundings): Promise<boolean> {
  return around.files.exists(`${folderOf(cell, around)}/results.json`);
}

/** Throws Interrupted where the user asked to stop, and UserError where a process fails. */
export async function runCell(cell: Cell, around: Surroundings): Promise<CellRecord> {
  return cell.kind === 'train' ? runTraining(cell, around) : runMeasurement(cell, around);
}

/** What a cell's folder says of itself. */
interface Origin {
  readonly commit: string;
  /** When it was begun. */
  readonly date: string;
}

async function runTraining(cell: TrainingCell, around: Surroundings): Promise<CellRecord> {
  const { files, adapter } = around;
  const dir = folderOf(cell, around);
  const flags = [...cell.flags, ...(cell.from ? ['--init', `${folderOf(cell.from, around)}/final`] : [])];
  const origin = await train(cell, dir, flags, around);
  const results = await resultsIn(dir, files);
  if (results.adapter !== adapter.name)
    throw new UserError(
      `${dir}/results.json: is of ${results.adapter}, expected ${adapter.name}; move it away`,
    );
  const trained = await trainedOf(cell, results, dir, files);
  const looks = await lookAt(cell, trained, dir, around);
  // Most of what a run leaves, and of no use any more.
  await files.remove(`${dir}/checkpoints`);
  return {
    id: cell.id,
    arm: cell.arm,
    seed: cell.seed,
    commands: [
      shown('train.ts', [...flags, '--out', dir]),
      ...looks.map(({ look, model }) => shown(EVALUATE, evaluateFlags(cell, look, model))),
    ],
    ...origin,
    adapter: adapter.name,
    seconds: results.seconds + looks.reduce((sum, { seconds }) => sum + seconds, 0),
    training: trained,
    looks: looks.map(
      ({ look, stage, result }): Looked => ({ at: stage ?? 'end', flags: look.flags, result }),
    ),
    measured: null,
  };
}

const EVALUATE = 'tools/evaluate.ts';

/** Trains what is not trained yet, from the newest checkpoint of the same commit, if any. */
async function train(
  cell: TrainingCell,
  dir: string,
  flags: readonly string[],
  around: Surroundings,
): Promise<Origin> {
  const { files, children } = around;
  const adapter = ['--adapter', around.adapter.flag];
  const begun = await originIn(dir, files);
  const trained = begun !== undefined && (await isTrained(cell, around));
  if (trained && (await canLook(cell, dir, files))) return begun;
  if (!trained && begun?.commit === around.commit() && (await latestCheckpoint(files, dir)) !== undefined) {
    await children.run('train.ts', ['--resume', dir, ...adapter], around.line);
    return begun;
  }
  await files.remove(dir);
  await files.makeFolder(dir);
  const origin = { commit: around.commit(), date: around.now() };
  await files.writeAtomic(`${dir}/${ORIGIN}`, `${JSON.stringify(origin)}\n`);
  await children.run('train.ts', [...flags, '--out', dir, ...adapter], around.line);
  return origin;
}

/** Whether every look can still be made or has been: models of stages are gone once an experiment is through with a run. */
async function canLook(cell: TrainingCell, dir: string, files: Files): Promise<boolean> {
  const trained = await trainedOf(cell, await resultsIn(dir, files), dir, files);
  const made = await looksIn(dir, files);
  for (const wanted of looksOf(cell, trained, dir))
    if (!made.some(isLook(wanted)) && !(await files.exists(wanted.model))) return false;
  return true;
}

const ORIGIN = 'origin.json';

async function originIn(dir: string, files: Files): Promise<Origin | undefined> {
  const path = `${dir}/${ORIGIN}`;
  return (await files.exists(path))
    ? (parseJson(await files.readText(path), path) as unknown as Origin)
    : undefined;
}

async function resultsIn(dir: string, files: Files): Promise<RunResults> {
  const path = `${dir}/results.json`;
  return parseJson(await files.readText(path), path) as unknown as RunResults;
}

async function trainedOf(
  { options }: TrainingCell,
  { arms }: RunResults,
  dir: string,
  files: Files,
): Promise<Trained> {
  const path = `${dir}/metrics.jsonl`;
  const records = parseMetrics(await files.readText(path), path);
  const { mode: _mode, bptt: _bptt, seed: _seed, ...arm } = arms[0]!;
  return {
    ...arm,
    lastStage: lastStage(options.mode, options, { steps: options.hops[1], tokens: options.hops[1] }),
    stages: records.flatMap(({ kind, step, samples }) =>
      kind === 'stage' ? [[step, samples] as const] : [],
    ),
    curve: records.flatMap(record =>
      record.kind === 'validation' ? [[record.samples, record.stage, record.accuracy] as const] : [],
    ),
    // That of results.json counts from where the process began: after a resumption, less.
    peakBytes: Math.max(...records.map(record => (record.kind === 'step' ? record.peakBytes : 0))),
  };
}

interface Wanted {
  readonly look: Look;
  /** Folder of the model that is looked at. */
  readonly model: string;
  /** The stage that the model enters; null at the end. */
  readonly stage: number | null;
}

interface Made extends Wanted {
  readonly seconds: number;
  readonly result: Json;
}

function looksOf(cell: TrainingCell, { stages }: Trained, dir: string): Wanted[] {
  return cell.looks.flatMap((look): Wanted[] =>
    look.at === 'end'
      ? [{ look, model: `${dir}/final`, stage: null }]
      : stages.map(([step], stage) => ({ look, model: `${dir}/checkpoints/${step}`, stage })).slice(1),
  );
}

const isLook =
  (wanted: Wanted) =>
  (other: Wanted): boolean =>
    other.model === wanted.model && other.look.flags.join(' ') === wanted.look.flags.join(' ');

const LOOKS = 'looks.json';

async function looksIn(dir: string, files: Files): Promise<Made[]> {
  const path = `${dir}/${LOOKS}`;
  return (await files.exists(path)) ? (parseJson(await files.readText(path), path) as unknown as Made[]) : [];
}

/** Makes the looks that the folder doesn't have yet, one after another. */
async function lookAt(
  cell: TrainingCell,
  trained: Trained,
  dir: string,
  { files, children, adapter, line }: Surroundings,
): Promise<Made[]> {
  const kept = await looksIn(dir, files);
  const wanted = looksOf(cell, trained, dir);
  for (const item of wanted) {
    if (kept.some(isLook(item))) continue;
    const begun = performance.now();
    const flags = [...evaluateFlags(cell, item.look, item.model), '--adapter', adapter.flag];
    const result = parseJson(await children.run(EVALUATE, flags, line), EVALUATE);
    kept.push({ ...item, seconds: (performance.now() - begun) / 1000, result });
    await files.writeAtomic(`${dir}/${LOOKS}`, `${JSON.stringify(kept)}\n`);
  }
  return wanted.map(item => kept.find(isLook(item))!);
}

/** The run's own unseen samples: drawn from the same task with the same seed, and as many. */
function evaluateFlags({ options }: TrainingCell, look: Look, model: string): string[] {
  const drawn: readonly OptionKey[] = ['task', 'nodes', 'hops', 'maxEdges', 'seed'];
  const task = drawn.filter(key => options[key] !== null);
  return [
    ...['--model', model],
    ...task.flatMap(key => [`--${flagName(key)}`, showOption(key, options[key])]),
    ...['--count', String(options.evalSamples), ...look.flags, '--json'],
  ];
}

async function runMeasurement(cell: MeasuringCell, around: Surroundings): Promise<CellRecord> {
  const { files, children, adapter } = around;
  const dir = folderOf(cell, around);
  const path = `${dir}/figures.json`;
  const flags = [...cell.flags, '--json', path];
  const date = around.now();
  const commit = around.commit();
  if (!(await files.exists(`${dir}/${ORIGIN}`))) {
    await files.makeFolder(dir);
    const begun = performance.now();
    await children.run(cell.script, [...flags, '--adapter', adapter.flag], around.line);
    const seconds = (performance.now() - begun) / 1000;
    await files.writeAtomic(`${dir}/${ORIGIN}`, `${JSON.stringify({ commit, date, seconds })}\n`);
  }
  const origin = (await originIn(dir, files)) as Origin & { readonly seconds: number };
  return {
    id: cell.id,
    arm: cell.arm,
    seed: cell.seed,
    commands: [shown(cell.script, flags)],
    ...origin,
    adapter: adapter.name,
    training: null,
    looks: [],
    measured: parseJson(await files.readText(path), path),
  };
}

function shown(script: string, flags: readonly string[]): string {
  return `node ${script} ${flags.join(' ')}`;
}
