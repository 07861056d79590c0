// Kinds of option values: how a word of the command line becomes a JSON value, and which JSON values are legal.
// A config file holds the same JSON values, so one check serves both. Knows no particular option.
import type { Json } from '../json.ts';

/** `accept` gives undefined for an illegal value; `legal` is the words an error message puts after "must be". */
export interface Kind<T extends Json> {
  readonly placeholder: string;
  readonly legal: string;
  fromText(text: string): Json;
  accept(value: Json): T | undefined;
  show(value: T): string;
}

/** Strict: all of the text is one decimal number. Other text stays text, for `accept` to refuse. */
function numeral(text: string): number | string {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

export function integer(least: number, most = Number.MAX_SAFE_INTEGER): Kind<number> {
  const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return {
    placeholder: 'n',
    legal: least === 1 && most === Number.MAX_SAFE_INTEGER ? 'a positive integer' : `an integer ${bounds}`,
    fromText: numeral,
    accept: value =>
      Number.isSafeInteger(value) && inside(value, least, most) ? (value as number) : undefined,
    show: String,
  };
}

/** A real number in [least, most], (least, most) or [least, most). */
export function real(
  least: number,
  most = Number.POSITIVE_INFINITY,
  ends: 'closed' | 'open' | 'half-open' = 'closed',
): Kind<number> {
  const floor = ends === 'open' ? `above ${least}` : `of at least ${least}`;
  const ceiling =
    most === Number.POSITIVE_INFINITY ? '' : ` and ${ends === 'closed' ? 'at most' : 'below'} ${most}`;
  return {
    placeholder: 'x',
    legal: `a number ${floor}${ceiling}`,
    fromText: numeral,
    accept: value => {
      if (typeof value !== 'number' || !Number.isFinite(value) || !inside(value, least, most))
        return undefined;
      if (ends === 'open' && value === least) return undefined;
      return ends !== 'closed' && value === most ? undefined : value;
    },
    show: value => (value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value)),
  };
}

function inside(value: Json, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most;
}

export function choice<const C extends string>(...choices: readonly C[]): Kind<C> {
  return {
    placeholder: choices.join('|'),
    legal: choices.length === 1 ? choices[0] : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`,
    fromText: text => text,
    accept: value => choices.find(item => item === value),
    show: String,
  };
}

/** A word beside another kind: `--bptt 2` or `--bptt full`. */
export function orWord<T extends Json, const W extends string>(word: W, kind: Kind<T>): Kind<T | W> {
  return {
    placeholder: `${kind.placeholder}|${word}`,
    legal: `${kind.legal} or ${word}`,
    fromText: text => (text === word ? word : kind.fromText(text)),
    accept: value => (value === word ? word : kind.accept(value)),
    show: value => (value === word ? word : kind.show(value as T)),
  };
}

/** null (in a config file; on the command line: the flag left out) means that there is none. */
export function optional<T extends Json>(kind: Kind<T>): Kind<T | null> {
  return {
    ...kind,
    accept: value => (value === null ? null : kind.accept(value)),
    show: value => (value === null ? 'none' : kind.show(value)),
  };
}

/** `3` or `3-6`: both ends belong to it. */
export function range(least: number): Kind<readonly [number, number]> {
  return {
    placeholder: 'a[-b]',
    legal: `a number of at least ${least} or a range such as 3-6`,
    fromText: text => (/^\d+-\d+$/.test(text) ? text.split('-').map(Number) : numeral(text)),
    accept: value => {
      const ends = Array.isArray(value) ? value : [value, value];
      if (ends.length !== 2 || !ends.every(end => Number.isSafeInteger(end) && end >= least))
        return undefined;
      return ends[0] <= ends[1] ? [ends[0], ends[1]] : undefined;
    },
    show: ([low, high]) => (low === high ? String(low) : `${low}-${high}`),
  };
}

/** `100,50,50`: positive integers. */
export function integerList(): Kind<readonly number[]> {
  return {
    placeholder: 'n,n,…',
    legal: 'positive integers such as 100,50,50',
    fromText: text => text.split(',').map(numeral),
    accept: value => {
      if (!Array.isArray(value) || value.length === 0) return undefined;
      return value.every(item => Number.isSafeInteger(item) && item >= 1) ? value : undefined;
    },
    show: value => value.join(','),
  };
}

/** Text of a form that `is` knows; `legal` says it in words. */
export function form<T extends string>(
  placeholder: string,
  legal: string,
  is: (value: unknown) => value is T,
): Kind<T> {
  return {
    placeholder,
    legal,
    fromText: text => text,
    accept: value => (is(value) ? value : undefined),
    show: String,
  };
}

export function path(placeholder: 'file' | 'dir'): Kind<string> {
  return {
    placeholder,
    legal: placeholder === 'dir' ? 'a folder' : 'a file',
    fromText: text => text,
    // A leading -- is the next flag, swallowed because the path was forgotten.
    accept: value =>
      typeof value === 'string' && value !== '' && !value.startsWith('--') ? value : undefined,
    show: String,
  };
}

/** On the command line `--name` and `--no-name`. */
export function toggle(): Kind<boolean> {
  return {
    placeholder: '',
    legal: 'true or false',
    fromText: text => text,
    accept: value => (typeof value === 'boolean' ? value : undefined),
    show: value => (value ? 'on' : 'off'),
  };
}
