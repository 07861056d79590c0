// Reads TypeScript as text: its imports, its string literals, and its code without comments and strings. Knows
// just enough of the language's tokens for that; a whole parser would be a dependency for four rules.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export interface Literal {
  readonly text: string;
  /** Offset of the opening quote; in `code` the quotes still stand there. */
  readonly at: number;
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

export interface Source {
  /** Path from the root, with forward slashes. */
  readonly file: string;
  /** The text with comments and the insides of strings blanked, every offset and line as before. */
  readonly code: string;
  readonly literals: readonly Literal[];
  readonly imports: readonly Import[];
}

/**
 * Files below `root`/`folder` with this ending, as paths from the root; [] where there is no such folder. Packages
 * that are installed there are not ours.
 */
export function filesIn(root: string, folder: string, ending: string): string[] {
  const path = join(root, folder);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith(ending))
    .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter(path => !path.split('/').includes('node_modules'))
    .sort();
}

export function readSource(root: string, file: string): Source {
  return scan(file, readFileSync(join(root, file), 'utf8'));
}

/** Line, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[dgimsuvy]*/g;

/** A slash begins a regular expression after these, and a division after anything else. */
const BEFORE_PATTERN = /(?:[(,=:[!&|?{};+*%<>~^-]|\b(?:return|typeof|case|in|of))\s*$/;

/**
 * Splits a source text. Templates are taken whole: the code inside their `${}` is not looked into, and a template
 * inside another's `${}` ends it early (write such a thing as two statements).
 */
export function scan(file: string, text: string): Source {
  const literals: Literal[] = [];
  let code = '';
  let from = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const [token] = match;
    const at = match.index;
    code += text.slice(from, at);
    from = at + token.length;
    if (
      token.startsWith('/') &&
      !token.startsWith('//') &&
      !token.startsWith('/*') &&
      !BEFORE_PATTERN.test(code)
    ) {
      code += '/';
      from = at + 1;
      TOKEN.lastIndex = from;
      continue;
    }
    if (token.startsWith('/')) {
      code += blank(token);
      continue;
    }
    literals.push({ text: token.slice(1, -1), at });
    code += token[0] + blank(token.slice(1, -1)) + token[0];
  }
  code += text.slice(from);
  return { file, code, literals, imports: importsOf(code, literals) };
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

const IMPORT = /\b(?:import|export)\b(?:\s*\(\s*|[\w\s{},*$]*?\bfrom\s*|\s*)(?=['"])/g;

function importsOf(code: string, literals: readonly Literal[]): Import[] {
  const byOffset = new Map(literals.map(literal => [literal.at, literal.text]));
  return [...code.matchAll(IMPORT)].flatMap(match => {
    const at = match.index + match[0].length;
    const specifier = byOffset.get(at);
    return specifier === undefined ? [] : [{ specifier, line: lineAt(code, at) }];
  });
}
