// The results of an experiment as a file: reading and checking it, putting a record in its place, writing. Knows the
// form; runs nothing and draws nothing.
import { UserError } from '../../src/errors.ts';
import { isObject, type Json, type JsonObject, parseJson, show } from '../../src/json.ts';
import type { Cell } from './cell.ts';
import type { CellRecord } from './record.ts';

export interface Results {
  readonly experiment: string;
  readonly question: string;
  readonly records: readonly CellRecord[];
}

/** Reads what formatResults wrote. Every fault is a UserError that names the file. */
export function parseResults(text: string, path: string, experiment: string): Results {
  const json = parseJson(text, path);
  const refuse = (fault: string): never => {
    throw new UserError(`${path}: ${fault}; move it away to begin anew`);
  };
  if (!isObject(json)) return refuse(`expected a JSON object, got ${show(json)}`);
  if (json.experiment !== experiment)
    return refuse(`holds results of ${show(json.experiment)}, expected "${experiment}"`);
  if (typeof json.question !== 'string' || !Array.isArray(json.records))
    return refuse('has no "question" or no list of "records"');
  for (const [i, record] of json.records.entries()) {
    const fault = isObject(record) ? faultOf(record) : 'is no object';
    if (fault !== null) return refuse(`record ${i} ${fault}`);
  }
  const records = json.records as unknown as readonly CellRecord[];
  const other = records.find(({ adapter }) => adapter !== records[0]!.adapter);
  if (other) return refuse(`mixes ${records[0]!.adapter} and ${other.adapter}`);
  return { experiment, question: json.question, records };
}

const TEXTS = ['id', 'arm', 'commit', 'adapter', 'date'] as const;
const NUMBERS = ['seed', 'seconds'] as const;
const TRAINED = ['parameters', 'samples', 'steps', 'exactMatch', 'tokensPerSample', 'peakBytes'] as const;

function faultOf(record: JsonObject): string | null {
  const text = TEXTS.find(key => typeof record[key] !== 'string');
  if (text) return `has ${show(record[text])} for "${text}", expected text`;
  const number = NUMBERS.find(key => typeof record[key] !== 'number');
  if (number) return `has ${show(record[number])} for "${number}", expected a number`;
  if (!Array.isArray(record.commands) || !Array.isArray(record.looks)) return 'has no commands or no looks';
  if (!record.looks.every(look => isObject(look) && Array.isArray(look.flags)))
    return 'has a look that is no object with flags';
  const { training } = record;
  if (training === null) return record.measured === null ? 'has no figures' : null;
  if (!isObject(training)) return `has ${show(training)} for "training", expected an object`;
  const figure = TRAINED.find(key => typeof training[key] !== 'number');
  if (figure) return `has ${show(training[figure])} for "training.${figure}", expected a number`;
  return Array.isArray(training.curve) && Array.isArray(training.stages) ? null : 'has no curve or no stages';
}

/** The record of a cell where it is done: with the cell's identity, and with every look that is asked for. */
export function recordOf({ records }: Results, cell: Cell): CellRecord | undefined {
  return records.find(record => record.arm === cell.arm && record.seed === cell.seed && covers(record, cell));
}

export function covers(record: CellRecord, cell: Cell): boolean {
  if (record.id !== cell.id) return false;
  if (cell.kind === 'measure') return true;
  // Stages that it entered: a run that never left stage 0 has none to be looked at.
  const entered = (record.training?.stages.length ?? 1) - 1;
  return cell.looks.every(({ at, flags }) => {
    const made = record.looks.filter(look => look.flags.join(' ') === flags.join(' '));
    return at === 'end'
      ? made.some(look => look.at === 'end')
      : made.filter(look => look.at !== 'end').length === entered;
  });
}

/** With `record` in the place of an earlier one of its arm and seed. Records lie in the order of `cells`. */
export function withRecord(results: Results, record: CellRecord, cells: readonly Cell[]): Results {
  const others = results.records.filter(({ arm, seed }) => arm !== record.arm || seed !== record.seed);
  const place = ({ arm, seed }: CellRecord): number => {
    const at = cells.findIndex(cell => cell.arm === arm && cell.seed === seed);
    return at < 0 ? cells.length : at;
  };
  return { ...results, records: [...others, record].sort((a, b) => place(a) - place(b)) };
}

export function formatResults({ experiment, question, records }: Results): string {
  return `${format({ experiment, question, records } as unknown as Json, '')}\n`;
}

const WIDTH = 110;

/** JSON whose lists and objects stand on a line where they fit: a list of numbers is no column of them. */
function format(value: Json, indent: string): string {
  const flat = spaced(value);
  if (indent.length + flat.length <= WIDTH || typeof value !== 'object' || value === null) return flat;
  const inner = `${indent} `;
  if (Array.isArray(value)) {
    const items = (value as readonly Json[]).map(item => format(item, inner));
    // Short items fill lines; long ones have lines of their own.
    if (items.every(item => item.length <= 40 && !item.includes('\n')))
      return `[\n${filled(items, inner)}\n${indent}]`;
    return `[\n${items.map(item => inner + item).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).map(
    ([key, item]) => `${inner}${JSON.stringify(key)}: ${format(item as Json, inner)}`,
  );
  return `{\n${entries.join(',\n')}\n${indent}}`;
}

function spaced(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(spaced).join(', ')}]`;
  const entries = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}: ${spaced(item as Json)}`,
  );
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}

function filled(items: readonly string[], indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const [i, item] of items.entries()) {
    const text = i < items.length - 1 ? `${item},` : item;
    if (line !== indent && line.length + text.length + 1 > WIDTH) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? text : ` ${text}`;
  }
  return [...lines, line].join('\n');
}
