// Reads what a shader text says of itself: bindings, uniform members with offsets, workgroup size.
// Knows wgsl_reflect; knows no device.
// Imported by its module file: the package's own main entry is CommonJS under "type": "module" and fails in
// Node (wgsl_reflect 1.6.0); goes when that is mended there.
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';

export interface Binding {
  readonly name: string;
  readonly binding: number;
  readonly kind: 'read' | 'read_write' | 'uniform';
}

export interface Member {
  readonly name: string;
  readonly offset: number;
  readonly type: 'u32' | 'i32' | 'f32';
}

export interface Reflection {
  readonly bindings: readonly Binding[];
  /** Members of the one uniform struct; empty where there is none. */
  readonly members: readonly Member[];
  /** Bytes of the uniform struct; 0 where there is none. */
  readonly uniformSize: number;
}

/** Reflects a standalone shader with entry point `main` and group 0 only. Throws an Error naming `file`. */
export function reflect(file: string, code: string): Reflection {
  const shader = parse(file, code);
  if (!shader.entry.compute.some(entry => entry.name === 'main'))
    throw new Error(`${file}: no compute entry point "main"`);
  for (const { name, group } of [...shader.storage, ...shader.uniforms])
    if (group !== 0) throw new Error(`${file}: binding ${name} must be in group 0`);
  const bindings: Binding[] = [];
  for (const variable of shader.storage) {
    if (variable.access !== 'read' && variable.access !== 'read_write')
      throw new Error(`${file}: binding ${variable.name} must be read or read_write`);
    bindings.push({ name: variable.name, binding: variable.binding, kind: variable.access });
  }
  const [uniform, second] = shader.uniforms;
  if (second) throw new Error(`${file}: more than one uniform binding`);
  if (uniform) bindings.push({ name: uniform.name, binding: uniform.binding, kind: 'uniform' });
  bindings.sort((a, b) => a.binding - b.binding);
  for (const [i, { binding }] of bindings.entries())
    if (binding !== i) throw new Error(`${file}: bindings must be numbered 0, 1, 2, …`);
  const members = (uniform?.members ?? []).map((member): Member => {
    const type = member.type.name;
    if (type !== 'u32' && type !== 'i32' && type !== 'f32')
      throw new Error(`${file}: parameter ${member.name} is ${type}; only u32, i32 and f32 are packed`);
    return { name: member.name, offset: member.offset, type };
  });
  return { bindings, members, uniformSize: uniform ? Math.ceil(uniform.size / 16) * 16 : 0 };
}

/** The parser's own errors end in "Line: N" and know no file. */
function parse(file: string, code: string): WgslReflect {
  try {
    return new WgslReflect(code);
  } catch (error) {
    const [, message = '', line = ''] =
      /^(.*?)[.\s]*Line: (\d+)/s.exec(String((error as Error).message)) ?? [];
    throw new Error(line ? `${file}:${line}: ${message}` : `${file}: ${(error as Error).message}`);
  }
}
