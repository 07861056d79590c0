// What the tools' command lines share: commander with one-line errors, and flags of checked kinds. Knows no tool.
import { Command, CommanderError } from 'commander';
import { UserError } from '../src/errors.ts';
import { type Json, show } from '../src/json.ts';
import type { Kind } from '../src/train/option-kinds.ts';

/** A command that throws instead of exiting, and prints nothing but its help. */
export function command(name: string, description: string): Command {
  return new Command(`node tools/${name}.ts`)
    .description(description)
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .configureOutput({ writeErr: () => {} })
    .exitOverride();
}

/** The flags of a command line; null after --help, which has printed itself. Throws UserError. */
export function parseFlags<T extends object>(program: Command, argv: readonly string[]): T | null {
  try {
    return program.parse([...argv], { from: 'user' }).opts<T>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    throw new UserError(error.message.replace(/^error: /, '').replace(/\s+/g, ' '));
  }
}

/** A flag's text as a value of its kind, or a UserError that says what would be one. */
export function legal<T extends Json>(flag: string, kind: Kind<T>): (text: string) => T {
  return text => {
    const value = kind.accept(kind.fromText(text));
    if (value === undefined) throw new UserError(`${flag} must be ${kind.legal}, got ${show(text)}`);
    return value;
  };
}
