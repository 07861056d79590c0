// From command line and config file to the options of a run. Knows how flags, file and preset combine, and what
// a resumed run may change; knows no file system (`readText` is given) and starts nothing.
import { UserError } from '../errors.ts';
import { type Json, parseJson } from '../json.ts';
import type { TrainerState } from './checkpoint.ts';
import { helpText, readFlags } from './flags.ts';
import { checkTogether } from './option-checks.ts';
import { flagName, OPTIONS, type OptionKey, showOption, type TrainOptions } from './option-table.ts';
import { withPreset } from './presets.ts';
import { readSettings } from './settings.ts';

export type { OptionKey, TrainOptions } from './option-table.ts';

export interface Resolved {
  readonly options: TrainOptions;
  /** Options set by a flag or the config file, not by a preset. */
  readonly given: ReadonlySet<OptionKey>;
}

/**
 * Flags win over the config file, the config file over the preset. Every fault is a UserError of one line that
 * names flag or file and the legal values. `--help` gives its text instead, with the defaults of the preset asked for.
 */
export async function resolveOptions(
  argv: readonly string[],
  readText: (path: string) => Promise<string>,
): Promise<Resolved | { readonly help: string }> {
  const { values: flags, help } = readFlags(argv);
  const configFile = flags.config as TrainOptions['config'] | undefined;
  const file = configFile ? readSettings(parseJson(await readText(configFile), configFile), configFile) : {};
  if (typeof file.config === 'string')
    throw new UserError(`${configFile}: a config file cannot name another ("config")`);
  const given = { ...file, ...flags };
  const options = withPreset(given);
  if (help) return { help: helpText(options.preset) };
  const keys = new Set(Object.keys(given) as OptionKey[]);
  checkTogether(options, keys);
  return { options, given: keys };
}

/**
 * The options of a resumed run: those it was started with. Flags may repeat them or change what cannot change
 * the outcome (`resumable` in the table); anything else is a contradiction and a UserError.
 */
export function resumedOptions(
  { options, given }: Resolved,
  { options: saved, finished }: Pick<TrainerState, 'options' | 'finished'>,
): TrainOptions {
  const merged: Record<string, Json> = { ...saved, resume: options.resume, config: options.config };
  if (options.resume !== null) merged.out = options.resume;
  for (const key of given) {
    if (key === 'resume' || key === 'config' || key === 'out') continue;
    // A cosine falls to 0 at the end, so there another end is another run.
    const ends = key === 'steps' || key === 'samples';
    if (ends && finished.length > 0 && JSON.stringify(options[key]) !== JSON.stringify(saved[key]))
      throw new UserError(
        `--${flagName(key)} ${showOption(key, options[key])} contradicts --resume: the first model of this --compare has ended, and the others get what it got`,
      );
    const free = 'resumable' in OPTIONS[key] && !(ends && saved.schedule === 'cosine');
    if (free) merged[key] = options[key];
    else if (JSON.stringify(options[key]) !== JSON.stringify(saved[key])) {
      const flag = `--${flagName(key)}`;
      throw new UserError(
        `${flag} ${showOption(key, options[key])} contradicts --resume: the run has ${flag} ${showOption(key, saved[key])}`,
      );
    }
  }
  return merged as unknown as TrainOptions;
}
