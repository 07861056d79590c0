// Turns a shader file's text into the text of one variant: constants replaced, marked loops written out.
// Knows WGSL as lines of text only; knows no device. The file stays valid WGSL without any of this.

/** Values for a file's top-level `const NAME = value;` lines. */
export type Constants = Readonly<Record<string, number | boolean>>;

/** A variant's text, and for each of its lines the number (from 1) of the file's line it came from. */
export interface ShaderText {
  readonly code: string;
  readonly lines: readonly number[];
}

interface Line {
  readonly text: string;
  readonly from: number;
}

/** An integer as WGSL writes it: a suffix `u` or `i` is its type, none leaves the type to its use. */
interface Integer {
  readonly value: number;
  readonly suffix: string;
}

const CONSTANT = /^const\s+(\w+)(\s*:\s*\w+)?\s*=\s*([^;]+);/;
const LOOP =
  /^\s*for\s*\(\s*var\s+(\w+)\s*=\s*([^;]+);\s*\1\s*<(?!=)\s*([^;]+);\s*\1\s*(\+\+|\+=\s*([^)]+))\)\s*\{\s*$/;

const MARK = /^\s*\/\/\s*@unroll\s*$/;

/**
 * Replaces each named constant (it must stand exactly once at the start of a line) and, with `unroll`,
 * writes out every loop that follows a `// @unroll` line. Throws an Error naming `file` and the line.
 */
export function specialise(file: string, source: string, constants: Constants, unroll: boolean): ShaderText {
  const lines = source.split('\n').map((text, i): Line => ({ text, from: i + 1 }));
  const values = new Map<string, Integer>();
  const seen = new Set<string>();
  const replaced = lines.map(({ text, from }): Line => {
    const match = CONSTANT.exec(text);
    if (!match) return { text, from };
    const [whole, name = '', type = '', value = ''] = match;
    const given = constants[name];
    if (given !== undefined && seen.has(name)) throw new Error(`${file}:${from}: const ${name} stands twice`);
    if (given !== undefined) seen.add(name);
    const literal = given === undefined ? value.trim() : literalLike(value.trim(), given, `${file}:${from}`);
    const integer = evaluate(literal, values);
    const typed = /[ui](?=32$)/.exec(type)?.[0];
    if (integer) values.set(name, typed ? { ...integer, suffix: typed } : integer);
    return { text: `const ${name}${type} = ${literal};${text.slice(whole.length)}`, from };
  });
  for (const name of Object.keys(constants))
    if (!seen.has(name)) throw new Error(`${file}: no line "const ${name} = …;" to replace`);
  const out = unroll ? expand(file, replaced, values) : replaced;
  return { code: out.map(line => line.text).join('\n'), lines: out.map(line => line.from) };
}

/** Writes `value` in the literal form of `old`: 8u stays unsigned, 0.5f a float, false a boolean. */
function literalLike(old: string, value: number | boolean, where: string): string {
  if (old === 'true' || old === 'false') {
    if (typeof value !== 'boolean') throw new Error(`${where}: a boolean constant was given ${value}`);
    return String(value);
  }
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new Error(`${where}: a numeric constant was given ${value}`);
  const hex = /^-?0x/i.test(old);
  const suffix = (hex ? /[ui]$/ : /[uif]$/).exec(old)?.[0] ?? '';
  if (hex || (suffix !== 'f' && !/[.e]/i.test(old))) {
    if (!Number.isInteger(value)) throw new Error(`${where}: an integer constant was given ${value}`);
    if (suffix === 'u' && value < 0) throw new Error(`${where}: an unsigned constant was given ${value}`);
    return `${value}${suffix}`;
  }
  const text = String(value);
  return /[.e]/.test(text) ? `${text}${suffix}` : `${text}.0${suffix}`;
}

/** Value and type of an integer expression over known constants, or undefined. */
function evaluate(expression: string, values: ReadonlyMap<string, Integer>): Integer | undefined {
  const literals = expression.replace(/\b[A-Za-z_]\w*\b/g, name => {
    const known = values.get(name);
    return known ? operand(known) : name;
  });
  const text = literals.replace(/\b(\d+)[ui]\b/g, '$1');
  if (!/^[\d\s+\-*/%()]+$/.test(text)) return undefined;
  const value = arithmetic(text);
  if (!Number.isSafeInteger(value)) return undefined; // a division by zero
  return { value, suffix: /\d([ui])\b/.exec(literals)?.[1] ?? '' };
}

/** An integer as an operand of any expression: a - -1 would be read as a decrement. */
function operand({ value, suffix }: Integer): string {
  return value < 0 ? `(${value}${suffix})` : `${value}${suffix}`;
}

/** Integer arithmetic with + - * / % and parentheses, by recursive descent. */
function arithmetic(text: string): number {
  const tokens = text.match(/\d+|[+\-*/%()]/g) ?? [];
  let at = 0;
  const factor = (): number => {
    const token = tokens[at++];
    if (token === '-') return -factor();
    if (token !== '(') return Number(token);
    const value = sum();
    at++;
    return value;
  };
  const product = (): number => {
    let value = factor();
    for (;;) {
      const op = tokens[at];
      if (op !== '*' && op !== '/' && op !== '%') return value;
      at++;
      const right = factor();
      value = op === '*' ? value * right : op === '/' ? Math.trunc(value / right) : value % right;
    }
  };
  const sum = (): number => {
    let value = product();
    for (;;) {
      const op = tokens[at];
      if (op !== '+' && op !== '-') return value;
      at++;
      value = op === '+' ? value + product() : value - product();
    }
  };
  return sum();
}

/** Writes out each marked loop, innermost bodies included; every copy is a block of its own. */
function expand(file: string, lines: readonly Line[], values: ReadonlyMap<string, Integer>): Line[] {
  const out: Line[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (!MARK.test(line.text)) {
      out.push(line);
      continue;
    }
    const head = lines[i + 1];
    const match = head && LOOP.exec(head.text);
    if (!match)
      throw new Error(`${file}:${line.from}: @unroll must stand before "for (var i = A; i < B; i++) {"`);
    const [, name = '', first = '', limit = '', , stride] = match;
    const from = evaluate(first, values);
    const to = evaluate(limit, values);
    const step = stride === undefined ? 1 : evaluate(stride, values)?.value;
    if (from === undefined || to === undefined || step === undefined || step < 1)
      throw new Error(`${file}:${head.from}: the bounds of an @unroll loop must be constants`);
    const end = closing(file, lines, i + 1);
    const body = lines.slice(i + 2, end);
    checkBody(file, name, body);
    const use = new RegExp(`(?<![\\w.])${name}\\b`, 'g');
    for (let k = from.value; k < to.value; k += step) {
      const index = operand({ value: k, suffix: from.suffix });
      const copy = body.map((b): Line => ({ text: b.text.replace(use, index), from: b.from }));
      out.push({ text: '{', from: head.from }, ...expand(file, copy, values), { text: '}', from: head.from });
    }
    i = end;
  }
  return out;
}

/** Throws where a body cannot be copied: its variable is declared again, or a break or continue would leave it. */
function checkBody(file: string, name: string, body: readonly Line[]): void {
  const again = new RegExp(`\\b(var|let|const)\\s+${name}\\b`);
  const inner: boolean[] = []; // of each open brace: may a break stand in it
  let head = '';
  for (const { text, from } of body) {
    const code = text.replace(/\/\/.*/, '');
    if (again.test(code))
      throw new Error(`${file}:${from}: an @unroll loop over ${name} declares ${name} again`);
    for (const token of code.match(/\b(for|while|loop|switch|break|continue)\b|[{};]/g) ?? []) {
      if (token === '{') inner.push(/^(for|while|loop|switch)$/.test(head));
      else if (token === '}') inner.pop();
      else if (/^(break|continue)$/.test(token) && !inner.includes(true))
        throw new Error(`${file}:${from}: a ${token} in an @unroll loop`);
      if (token !== ';' || !/^for$/.test(head)) head = token;
    }
  }
}

/** Index of the line that closes the brace opened on line `open`; that line must hold nothing else. */
function closing(file: string, lines: readonly Line[], open: number): number {
  let depth = 0;
  for (let i = open; i < lines.length; i++) {
    const text = lines[i]!.text.replace(/\/\/.*/, '');
    for (const char of text) depth += char === '{' ? 1 : char === '}' ? -1 : 0;
    if (depth > 0) continue;
    if (text.trim() !== '}')
      throw new Error(`${file}:${lines[i]!.from}: an @unroll loop must close on a line of its own`);
    return i;
  }
  throw new Error(`${file}:${lines[open]!.from}: this @unroll loop never closes`);
}
