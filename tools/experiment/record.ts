// What is kept of a finished cell: where it comes from, how to make it again, and its figures. Knows the form; how a
// cell is run is run.ts's, how results are kept results.ts's.
import type { Json } from '../../src/json.ts';

export interface CellRecord {
  /** Of what the cell does, whatever its arm is called: see cell.ts. */
  readonly id: string;
  readonly arm: string;
  readonly seed: number;
  /** What made it, from the repository's root; a prerequisite has a record of its own. */
  readonly commands: readonly string[];
  readonly commit: string;
  readonly adapter: string;
  /** When it was begun, ISO 8601 in UTC. */
  readonly date: string;
  /** Of training and of all looks. */
  readonly seconds: number;
  readonly training: Trained | null;
  readonly looks: readonly Looked[];
  /** What a bench wrote, where the cell is one. */
  readonly measured: Json;
}

export interface Trained {
  readonly parameters: number;
  readonly samples: number;
  readonly steps: number;
  /** Of the curriculum, whether or not it was reached. */
  readonly lastStage: number;
  /** Steps and samples at which each stage began, stage 0 first. */
  readonly stages: readonly (readonly [step: number, samples: number])[];
  /** Validations in their order. */
  readonly curve: readonly (readonly [samples: number, stage: number, accuracy: number])[];
  readonly evalSamples: number;
  readonly exactMatch: number;
  /** With the latents removed; null where the model has none. */
  readonly exactMatchNoLatents: number | null;
  /** Generated, latents counted. */
  readonly tokensPerSample: number;
  readonly secondsPerSample: number;
  /** Of one optimizer step in the last stage, the median; 0 where it was interrupted too late to know. */
  readonly stepSeconds: number;
  readonly trainSeconds: number;
  /** Most GPU bytes at once in the steps that metrics.jsonl has. */
  readonly peakBytes: number;
}

/** What tools/evaluate.ts said of a model. */
export interface Looked {
  /** The trained model, or the model as it enters this stage. */
  readonly at: 'end' | number;
  readonly flags: readonly string[];
  readonly result: Json;
}

/** Keys whose values a clock decides: the rest of a record is the same in every run of the cell on its adapter. */
const BY_THE_CLOCK: ReadonlySet<string> = new Set([
  'date',
  'seconds',
  'secondsPerSample',
  'stepSeconds',
  'trainSeconds',
  'ms',
  'recordingMs',
  'ratio',
  // Of a bench: the day, and the versions that it is of.
  'source',
]);
/** Which tell where a record comes from, not what came out. */
const ORIGIN: ReadonlySet<string> = new Set(['arm', 'commands', 'commit']);

/** The paths at which two records of one cell differ, clocks and origin aside: "training.exactMatch: 0.98, 0.97". */
export function differences(a: CellRecord, b: CellRecord): string[] {
  const found: string[] = [];
  const compare = (left: unknown, right: unknown, path: string): void => {
    if (isTree(left) && isTree(right)) {
      for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
        if (!BY_THE_CLOCK.has(key)) compare(left[key], right[key], path === '' ? key : `${path}.${key}`);
    } else if (!Object.is(left, right))
      found.push(`${path}: ${JSON.stringify(left)}, ${JSON.stringify(right)}`);
  };
  const plain = (record: CellRecord) =>
    Object.fromEntries(Object.entries(record).filter(([key]) => !ORIGIN.has(key)));
  compare(plain(a), plain(b), '');
  return found;
}

/** Objects and lists alike. */
function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
