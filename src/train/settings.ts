// Options as a JSON object: the config file, and what trainer.json and the report keep. Knows the table and the
// presets; knows no command line.
import { UserError } from '../errors.ts';
import { isObject, type Json, type JsonObject, show } from '../json.ts';
import { acceptOption, flagName, OPTION_KEYS, type TrainOptions, type Values } from './option-table.ts';
import { withPreset } from './presets.ts';

/** The options as a config file holds them, every key present: for trainer.json and the report. */
export function optionsToJson(options: TrainOptions): JsonObject {
  return Object.fromEntries(OPTION_KEYS.map(key => [flagName(key), options[key]]));
}

/** Reads what optionsToJson wrote. Keys a newer version added take their preset's value. */
export function optionsFromJson(json: Json, fileName: string): TrainOptions {
  return withPreset(readSettings(json, fileName));
}

/** The options that a JSON object names, checked. Keys are flags without their dashes. */
export function readSettings(json: Json, fileName: string): Values {
  if (!isObject(json))
    throw new UserError(`${fileName}: expected a JSON object of options, got ${show(json)}`);
  const values: Values = {};
  for (const [name, value] of Object.entries(json)) {
    const key = OPTION_KEYS.find(item => flagName(item) === name);
    if (key === undefined)
      throw new UserError(`${fileName}: unknown option ${show(name)}; ${hint(name, '')}`);
    values[key] = acceptOption(key, value, `${fileName}: "${name}"`);
  }
  return values;
}

/** "did you mean …" where one name is near, else all names. */
export function hint(name: string, dashes: string): string {
  const names = OPTION_KEYS.map(flagName);
  const near = names
    .map(candidate => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.ceil(candidate.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .at(0);
  if (near !== undefined) return `did you mean ${dashes}${near.candidate}? (--help lists all)`;
  return `legal: ${names.map(item => dashes + item).join(', ')}`;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}
