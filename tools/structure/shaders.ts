// The rules of shader files: form, bindings, and that code and files name each other. Knows WGSL as text and as
// wgsl_reflect reads it; knows no device.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reflect } from '../../src/gpu/reflect.ts';
import type { Fault } from './fault.ts';
import { filesIn, lineAt, readSource, type Source } from './source.ts';

/** WebGPU's default limit of storage buffers a stage. */
const MOST_STORAGE = 8;

/** Every fault in shaders/*.wgsl and in how src names them. */
export function checkShaders(root: string): Fault[] {
  const files = filesIn(root, 'shaders', '.wgsl');
  const names = new Set(files.map(file => file.slice('shaders/'.length, -'.wgsl'.length)));
  const sources = filesIn(root, 'src', '.ts').map(file => readSource(root, file));
  const uses = sources.flatMap(kernelUses);
  const used = new Set(uses.flatMap(({ name, endings }) => [name, ...endings.map(ending => name + ending)]));
  return [
    ...files.flatMap(file => checkShader(file, readFileSync(join(root, file), 'utf8'))),
    ...[...names]
      .filter(name => !used.has(name))
      .map(name => ({
        file: `shaders/${name}.wgsl`,
        line: 1,
        message: 'no gpu.run in src uses this shader',
      })),
    ...uses
      .filter(({ name }) => !names.has(name))
      .map(({ name, file, line }) => ({ file, line, message: `there is no shader shaders/${name}.wgsl` })),
  ];
}

/** Faults in one shader's text. */
export function checkShader(file: string, text: string): Fault[] {
  const faults: Fault[] = [];
  if (!/^shaders\/[a-z0-9]+(-[a-z0-9]+)*\.wgsl$/.test(file))
    faults.push({ file, line: 1, message: 'is not named in kebab-case, directly in shaders/' });
  if (!/^\/\/ *\S/.test(text))
    faults.push({ file, line: 1, message: 'has no opening comment on what it computes' });
  try {
    const { bindings } = reflect(file, text);
    const ranks = { read: 0, read_write: 1, uniform: 2 };
    for (const [i, { name, kind }] of bindings.entries())
      if (i > 0 && ranks[kind] < ranks[bindings[i - 1]!.kind])
        faults.push({
          file,
          line: lineOf(text, name),
          message: `binding ${name} is out of order: inputs, outputs, params`,
        });
    const storage = bindings.filter(({ kind }) => kind !== 'uniform').length;
    if (storage > MOST_STORAGE)
      faults.push({
        file,
        line: 1,
        message: `binds ${storage} storage buffers; the default limit is ${MOST_STORAGE}`,
      });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    faults.push({
      file,
      line: 1,
      message: `does not reflect: ${message.replace(`${file}: `, '').split('\n')[0]}`,
    });
  }
  return [...faults, ...loopVariables(file, text)];
}

function lineOf(text: string, binding: string): number {
  const match = new RegExp(`\\bvar\\s*<[^>]*>\\s*${binding}\\b`).exec(text);
  return match ? lineAt(text, match.index) : 1;
}

/**
 * `var x: T;` inside a loop: zero on every turn in WGSL, but SwiftShader zeroes it once (the class of
 * gfx-rs/wgpu#9489). Either it gets an initial value, or a comment `// written first: why` on its line or the one
 * before says that nothing reads it before it is written.
 */
function loopVariables(file: string, text: string): Fault[] {
  const lines = text.split('\n');
  const code = text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, comment => comment.replace(/[^\n]/g, ' '));
  const faults: Fault[] = [];
  const blocks: boolean[] = []; // of each open brace: is it a loop's
  let head = '';
  for (const [i, char] of [...code].entries()) {
    if (char === '{') {
      blocks.push(/\b(for|while|loop)\b[^{}]*$/.test(head));
      head = '';
    } else if (char === '}') {
      blocks.pop();
      head = '';
    } else if (char === ';') {
      const match = /^\s*var\s+(\w+)\s*:[^=]+$/.exec(head);
      const line = lineAt(code, i);
      const allowed = [lines[line - 1], lines[line - 2]].some(l => /\/\/ written first: \S/.test(l ?? ''));
      if (match && blocks.includes(true) && !allowed)
        faults.push({
          file,
          line,
          message: `loop-local var ${match[1]} has no initial value, and SwiftShader does not zero it on every turn`,
        });
      // A for's own semicolons are part of its head.
      head = /\bfor\s*\([^{]*$/.test(head) ? `${head};` : '';
    } else head += char;
  }
  return faults;
}

interface KernelUse {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Endings that the same file appends to kernel names: `${name}-quad` gives "-quad". */
  readonly endings: readonly string[];
}

/** A kernel's name is the first argument of gpu.run, or of a helper the second after the gpu. */
const CALL = /(?:\bgpu\.run|\bthis\.run)\s*\(|\b\w+\s*\(\s*(?:[\w.]+\.)?gpu\s*,(?=\s*['"])/g;

/** Names of kernels that a file gives as literals, alone or in a choice `a ? 'x' : 'y'`. */
function kernelUses({ file, code, literals }: Source): KernelUse[] {
  const endings = literals.flatMap(({ text }) => /^\$\{\w+\}(-[\w-]+)$/.exec(text)?.[1] ?? []);
  return [...code.matchAll(CALL)].flatMap(match => {
    const from = match.index + match[0].length;
    const to = argumentEnd(code, from);
    return literals
      .filter(
        ({ text, at }) =>
          !text.includes('$') && at >= from && at < to && !/[=!]==\s*$/.test(code.slice(from, at)),
      )
      .map(({ text, at }) => ({ name: text, file, line: lineAt(code, at), endings }));
  });
}

/** Offset of the comma or bracket that ends the argument that begins at `from`. */
function argumentEnd(code: string, from: number): number {
  let depth = 0;
  for (let i = from; i < code.length; i++) {
    const char = code[i]!;
    if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char) && depth-- === 0) return i;
    else if (char === ',' && depth === 0) return i;
  }
  return code.length;
}
