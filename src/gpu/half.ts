// Turns a shader's text into that of the same kernel with some of its buffers stored as f16: what is loaded from them
// becomes f32 and what is stored into them f16, so that all arithmetic stays as it is written. Knows WGSL as text only;
// knows no device. Lines keep their numbers.
//
// WGSL leaves a conversion to f16 beyond its largest number, 65504, open. Here it gives infinity, whose bits are put
// together, so that an overflow is one on every adapter and a loss scale sees it; NaN stays NaN. That holds from the
// first f32 above 65504 on, where rounding to the nearest would begin at 65520.

/** Element types of buffers that may be stored as f16: what they become, and what makes the one of the other. */
const ELEMENTS: Readonly<Record<string, { readonly stored: string; readonly store: string }>> = {
  f32: { stored: 'f16', store: 'asHalf' },
  vec2f: { stored: 'vec2h', store: 'asHalf2' },
  vec4f: { stored: 'vec4h', store: 'asHalf4' },
};

const HELPERS = `
fn asHalf(x: f32) -> f16 {
  let bits = bitcast<u32>(x);
  let size = bits & 0x7fffffffu;
  let special = ((bits >> 16u) & 0x8000u) | select(0x7c00u, 0x7e00u, size > 0x7f800000u);
  return select(f16(x), bitcast<vec2h>(special).x, size > 0x477fe000u);
}
fn asHalf2(x: vec2f) -> vec2h { return vec2h(asHalf(x.x), asHalf(x.y)); }
fn asHalf4(x: vec4f) -> vec4h { return vec4h(asHalf(x.x), asHalf(x.y), asHalf(x.z), asHalf(x.w)); }
`;

/**
 * The text of kernel `file` with the storage buffers `names` of f16. Throws an Error naming file and line where a
 * buffer is not an array of f32, vec2f or vec4f, or is used in a way that is no load and no store of an element.
 */
export function withHalves(file: string, source: string, names: ReadonlySet<string>): string {
  if (names.size === 0) return source;
  const text = new Text(file, source);
  const buffers = new Map([...names].map(name => [name, text.declaration(name)]));
  const declared = [...buffers.values()].sort((a, b) => a.from - b.from);
  let out = 'enable f16; ';
  let at = 0;
  for (const { from, to, element } of declared) {
    out += text.converted(at, from, buffers) + ELEMENTS[element]!.stored;
    at = to;
  }
  return out + text.converted(at, source.length, buffers) + HELPERS;
}

/** Where a buffer's declaration names its element type, and that. */
interface Buffer {
  readonly from: number;
  readonly to: number;
  readonly element: string;
}

type Buffers = ReadonlyMap<string, Buffer>;

class Text {
  readonly #file: string;
  readonly #source: string;
  /** The same with spaces for comments: what is looked for is looked for here. */
  readonly #code: string;

  constructor(file: string, source: string) {
    this.#file = file;
    this.#source = source;
    this.#code = source.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, comment => comment.replace(/[^\n]/g, ' '));
  }

  declaration(name: string): Buffer {
    const match = new RegExp(
      `\\bvar\\s*<\\s*storage\\b[^>]*>\\s*${name}\\s*:\\s*array\\s*<\\s*(\\w+)\\s*>`,
    ).exec(this.#code);
    if (!match)
      throw new Error(`${this.#file}: "${name}" is no storage buffer that is an array, so it cannot be f16`);
    const element = match[1]!;
    if (!Object.hasOwn(ELEMENTS, element))
      this.#fail(match.index, `"${name}" is an array of ${element}, which cannot be stored as f16`);
    const to = match.index + match[0].lastIndexOf(element) + element.length;
    return { from: to - element.length, to, element };
  }

  /** The text from `from` to `to` with every use of the buffers converted. */
  converted(from: number, to: number, buffers: Buffers): string {
    const name = new RegExp(`(?<![\\w.])(?:${[...buffers.keys()].join('|')})\\b`, 'g');
    let out = '';
    let at = from;
    for (;;) {
      name.lastIndex = at;
      const match = name.exec(this.#code);
      if (!match || match.index >= to) return out + this.#source.slice(at, to);
      const { text, end } = this.#use(match[0], match.index, buffers);
      out += this.#source.slice(at, match.index) + text;
      at = end;
    }
  }

  /** What becomes of the load or store of an element of `name` that begins at `start`, and where it ends. */
  #use(name: string, start: number, buffers: Buffers): { readonly text: string; readonly end: number } {
    const before = this.#code.slice(0, start);
    if (/\bvar\s*<[^>]*>\s*$/.test(before)) return { text: name, end: start + name.length };
    const open = this.#after(start + name.length);
    if (this.#code[open] !== '[' || /(?<!&)&\s*$/.test(before))
      this.#fail(start, `"${name}" is used as something else than an element, so it cannot be f16`);
    const { element } = buffers.get(name)!;
    const close = this.#closing(open);
    const place = `${name}[${this.converted(open + 1, close, buffers)}]`;
    // What follows may be one of a vector's numbers, and that is what is stored then.
    const part = this.#part(close + 1);
    const assigned = /^\s*([-+*/]?)=(?!=) */.exec(this.#code.slice(part));
    if (!assigned) return { text: `${element}(${place})`, end: close + 1 };
    const from = part + assigned[0].length;
    const end = this.#code.indexOf(';', from);
    const target = place + this.converted(close + 1, part, buffers);
    const type = part > close + 1 ? 'f32' : element;
    const given = this.converted(from, end, buffers);
    const value = assigned[1] ? `${type}(${target}) ${assigned[1]} (${given})` : given;
    return { text: `${target} = ${ELEMENTS[type]!.store}(${value})`, end };
  }

  /** The first place from `at` on that is no space. */
  #after(at: number): number {
    return at + /^\s*/.exec(this.#code.slice(at))![0].length;
  }

  /** The end of the index or member that follows an element at `at`; `at` where there is none. */
  #part(at: number): number {
    const next = this.#after(at);
    if (this.#code[next] === '[') return this.#closing(next) + 1;
    const member = /^\.\w+/.exec(this.#code.slice(next));
    return member ? next + member[0].length : at;
  }

  #closing(open: number): number {
    let depth = 0;
    for (let i = open; i < this.#code.length; i++) {
      if (this.#code[i] === '[') depth++;
      if (this.#code[i] === ']' && --depth === 0) return i;
    }
    return this.#fail(open, 'this bracket never closes');
  }

  #fail(at: number, message: string): never {
    throw new Error(`${this.#file}:${this.#source.slice(0, at).split('\n').length}: ${message}`);
  }
}
