// The records of metrics.jsonl, one JSON object a line, and what a resumed run keeps of them. Pure text; knows
// no file system.
import { UserError } from '../errors.ts';
import { isObject, type JsonObject, parseJson, show } from '../json.ts';

interface Common {
  /** The model trained: `coconut`, `cot`, … Arms of one run follow each other in the file. */
  readonly arm: string;
  /** Optimizer steps done in this arm. */
  readonly step: number;
  readonly stage: number;
  /** Samples trained on in this arm. */
  readonly samples: number;
  /** Seconds since this arm began, without the time between a kill and its resumption. */
  readonly seconds: number;
}

/** One optimizer step. */
export interface StepRecord extends Common {
  readonly kind: 'step';
  /** Mean cross-entropy over the labelled tokens, in nats. */
  readonly loss: number;
  /** Global L2 norm before clipping. */
  readonly gradNorm: number;
  readonly lr: number;
  readonly tokensPerSecond: number;
  /** Share of the adapter's measured ceiling, 0 to 1; null where it was not measured. */
  readonly ceilingShare: number | null;
  readonly liveBytes: number;
  readonly peakBytes: number;
  /** With `--storage f16`: the loss scale after the step, and how many steps it has skipped so far. */
  readonly lossScale?: number;
  readonly skippedSteps?: number;
}

/** A validation: exact match on unseen samples. */
export interface ValidationRecord extends Common {
  readonly kind: 'validation';
  readonly accuracy: number;
}

/** A validation on text that is not learnt. */
export interface HeldOutRecord extends Common {
  readonly kind: 'held-out';
  /** Mean cross-entropy of a token, in nats. */
  readonly loss: number;
  readonly bitsPerByte: number;
}

/** What a validation saw. */
export type Measure = Omit<ValidationRecord, keyof Common> | Omit<HeldOutRecord, keyof Common>;

/** Training enters `stage`. */
export interface StageRecord extends Common {
  readonly kind: 'stage';
}

export type MetricRecord = StepRecord | ValidationRecord | HeldOutRecord | StageRecord;

const COMMON = ['step', 'stage', 'samples', 'seconds'] as const;
const SCALED = ['lossScale', 'skippedSteps'] as const;
const NUMBERS: Readonly<Record<MetricRecord['kind'], readonly string[]>> = {
  step: [...COMMON, 'loss', 'gradNorm', 'lr', 'tokensPerSecond', 'liveBytes', 'peakBytes'],
  validation: [...COMMON, 'accuracy'],
  'held-out': [...COMMON, 'loss', 'bitsPerByte'],
  stage: COMMON,
};

/** One line, line break included. A number that JSON cannot hold (a diverged loss) becomes null. */
export function formatRecord(record: MetricRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** All records of a metrics file; a torn or foreign line is a UserError naming file and line. */
export function parseMetrics(text: string, fileName: string): MetricRecord[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line, i) => parseRecord(line, `${fileName}:${i + 1}`));
}

function parseRecord(line: string, place: string): MetricRecord {
  const json = parseJson(line, place);
  if (!isObject(json)) throw new UserError(`${place}: expected a JSON object, got ${show(json)}`);
  const { kind, arm } = json;
  if (typeof kind !== 'string' || !Object.hasOwn(NUMBERS, kind)) {
    throw new UserError(`${place}: unknown kind ${show(kind)}, expected ${Object.keys(NUMBERS).join(', ')}`);
  }
  if (typeof arm !== 'string') throw new UserError(`${place}: "arm" must be text, got ${show(arm)}`);
  const numbers = Object.fromEntries(
    NUMBERS[kind as MetricRecord['kind']].map(key => [key, metric(json, key, place)]),
  );
  const scaled = SCALED.filter(key => json[key] !== undefined).map(key => [key, metric(json, key, place)]);
  const rest =
    kind === 'step' ? { ceilingShare: json.ceilingShare ?? null, ...Object.fromEntries(scaled) } : {};
  return { kind, arm, ...numbers, ...rest } as unknown as MetricRecord;
}

function metric(json: JsonObject, key: string, place: string): number {
  const value = json[key];
  if (value === null) return Number.NaN;
  if (typeof value !== 'number')
    throw new UserError(`${place}: "${key}" must be a number, got ${show(value)}`);
  return value;
}

/**
 * What a run resumed from a checkpoint keeps: everything before the first record that came after the
 * checkpoint, i.e. a later step of its arm, a later arm, or a line torn by the kill. Other lines stay
 * byte for byte.
 */
export function truncateMetrics(
  text: string,
  checkpoint: { readonly arm: string; readonly step: number },
): string {
  let kept = 0;
  let seen = false;
  for (const line of text.split('\n').slice(0, -1)) {
    const record = tryParse(line);
    if (record === undefined) break;
    const same = record.arm === checkpoint.arm;
    if (same ? record.step > checkpoint.step : seen) break;
    seen ||= same;
    kept += line.length + 1;
  }
  return text.slice(0, kept);
}

function tryParse(line: string): MetricRecord | undefined {
  try {
    return parseRecord(line, '');
  } catch {
    return undefined;
  }
}
