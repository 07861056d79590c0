// The command line, by commander: reading flags, and the text of --help. Knows the table; knows no config file
// and not how options combine.
import { Command, CommanderError, Option } from 'commander';
import { UserError } from '../errors.ts';
import { show } from '../json.ts';
import {
  acceptOption,
  flagName,
  OPTION_KEYS,
  OPTIONS,
  type OptionKey,
  type PresetName,
  showOption,
  type Values,
} from './option-table.ts';
import { withPreset } from './presets.ts';
import { hint } from './settings.ts';

/** Each flag once, checked. Any fault is a UserError of one line naming the flag and its legal values. */
export function readFlags(argv: readonly string[]): { values: Values; help: boolean } {
  const program = buildProgram(OPTIONS.preset.fallback);
  try {
    program.parse(argv as string[], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new UserError(flagFault(error));
  }
  const { help, ...texts } = program.opts<Record<string, string | boolean>>();
  const values: Values = {};
  for (const [key, text] of Object.entries(texts) as [OptionKey, string | boolean][]) {
    const value = typeof text === 'string' ? OPTIONS[key].kind.fromText(text) : text;
    values[key] = acceptOption(key, value, `--${flagName(key)}`, text);
  }
  // After the values: `--steps --seed 3` is a fault of --steps, which took --seed for its value.
  const [extra] = program.args;
  if (extra !== undefined)
    throw new UserError(`unexpected ${show(extra)}: every option starts with -- (see --help)`);
  return { values, help: help === true };
}

function flagFault(error: CommanderError): string {
  const quoted = /'(.*)'/s.exec(error.message)?.[1] ?? '';
  const flag = quoted.split(/[ =]/)[0];
  switch (error.code) {
    case 'commander.unknownOption':
      return `unknown flag ${show(flag).slice(1, -1)}; ${hint(flag.replace(/^-+/, ''), '--')}`;
    case 'commander.optionMissingArgument': {
      const key = OPTION_KEYS.find(item => `--${flagName(item)}` === flag);
      return `${flag} needs a value${key === undefined ? '' : `: ${OPTIONS[key].kind.legal}`}`;
    }
    default:
      return error.message.replace(/^error: /, '').replace(/\s+/g, ' ');
  }
}

/** The text of --help, with the defaults of one preset. */
export function helpText(preset: PresetName): string {
  return buildProgram(preset).helpInformation();
}

function buildProgram(preset: PresetName): Command {
  const defaults = withPreset({ preset });
  const program = new Command('train.ts')
    .description('Trains a language model that reasons in a continuous latent space.')
    .usage('[options]')
    .allowExcessArguments(true)
    .helpOption(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {}, writeOut: () => {} })
    .configureHelp({ helpWidth: 110 });
  for (const key of OPTION_KEYS) {
    const { kind, help, group } = OPTIONS[key];
    const flag = `--${flagName(key)}`;
    const value = showOption(key, defaults[key]);
    const heading = `${group}:`;
    const text = `${help} (default: ${value})`;
    if (kind.placeholder !== '') {
      program.addOption(new Option(`${flag} <${kind.placeholder}>`, text).helpGroup(heading));
    } else {
      program.addOption(
        new Option(flag, `${text.slice(0, -1)}; --no-${flagName(key)} turns it off)`).helpGroup(heading),
      );
      program.addOption(new Option(`--no-${flagName(key)}`).hideHelp());
    }
  }
  program.addOption(
    new Option('-h, --help', `this text, with the defaults of --preset (now: ${preset})`).helpGroup('Run:'),
  );
  return program;
}
