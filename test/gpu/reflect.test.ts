// What is read in a shader text: bindings, parameters with their offsets, and what it refuses to read.
import { describe, expect, it } from 'vitest';
import { reflect } from '../../src/gpu/reflect.ts';
import { packParams } from '../../src/gpu/uniforms.ts';
import { readShaders } from '../../src/platform/node.ts';

const MAIN = '@compute @workgroup_size(1) fn main() {}';

const shader = (...lines: string[]): string => [...lines, MAIN].join('\n');

describe('reflect', () => {
  it('reads bindings by name, number and kind, in the order of their numbers', () => {
    const { bindings } = reflect(
      'f.wgsl',
      shader(
        'struct Params { n: u32 }',
        '@group(0) @binding(2) var<uniform> p: Params;',
        '@group(0) @binding(1) var<storage, read_write> y: array<f32>;',
        '@group(0) @binding(0) var<storage, read> x: array<u32>;',
        '@group(0) @binding(3) var<storage> z: array<vec4f>;',
        'var<workgroup> tile: array<f32, 4>;',
        'var<private> held: f32;',
      ),
    );
    expect(bindings).toEqual([
      { name: 'x', binding: 0, kind: 'read' },
      { name: 'y', binding: 1, kind: 'read_write' },
      { name: 'p', binding: 2, kind: 'uniform' },
      { name: 'z', binding: 3, kind: 'read' },
    ]);
  });

  it('reads parameters with offsets, and the size to the next 16 bytes', () => {
    const { members, uniformSize } = reflect(
      'f.wgsl',
      shader(
        'struct Params { a: u32, b: f32, c: i32, @align(16) d: u32, e: f32 }',
        '@group(0) @binding(0) var<uniform> p: Params;',
      ),
    );
    expect(members).toEqual([
      { name: 'a', offset: 0, type: 'u32' },
      { name: 'b', offset: 4, type: 'f32' },
      { name: 'c', offset: 8, type: 'i32' },
      { name: 'd', offset: 16, type: 'u32' },
      { name: 'e', offset: 20, type: 'f32' },
    ]);
    expect(uniformSize).toBe(32);
  });

  it('finds nothing where there is nothing', () => {
    expect(reflect('f.wgsl', MAIN)).toEqual({ bindings: [], members: [], uniformSize: 0 });
  });

  it.each([
    ['no compute entry point "main"', '@compute @workgroup_size(1) fn other() {}'],
    ['bindings must be numbered 0, 1, 2', shader('@group(0) @binding(1) var<storage> x: array<f32>;')],
    [
      'more than one uniform binding',
      shader(
        'struct P { n: u32 }',
        '@group(0) @binding(0) var<uniform> p: P;',
        '@group(0) @binding(1) var<uniform> q: P;',
      ),
    ],
    [
      'parameter size is vec2u; only u32, i32 and f32 are packed',
      shader('struct P { size: vec2u }', '@group(0) @binding(0) var<uniform> p: P;'),
    ],
    [
      'parameter sizes is array; only u32, i32 and f32 are packed',
      shader('struct P { sizes: array<vec4u, 2> }', '@group(0) @binding(0) var<uniform> p: P;'),
    ],
    ['binding x must be in group 0', shader('@group(1) @binding(0) var<storage> x: array<f32>;')],
  ])('refuses a shader: %s', (message, text) => {
    expect(() => reflect('f.wgsl', text)).toThrow(new RegExp(`^f\\.wgsl: .*${message}`));
  });

  it('names file and line of a syntax error', () => {
    expect(() => reflect('f.wgsl', `${MAIN}\nfn f() {\n  let = 3;\n}`)).toThrow(/^f\.wgsl:3: /);
  });

  it('reads every shader of the repository', () => {
    for (const [name, text] of readShaders()) {
      const { bindings } = reflect(name, text);
      expect(bindings.filter(({ kind }) => kind === 'read_write').length, name).toBeGreaterThan(0);
    }
  });
});

describe('packParams', () => {
  const reflection = reflect(
    'f.wgsl',
    shader('struct P { n: u32, x: f32, k: i32 }', '@group(0) @binding(0) var<uniform> p: P;'),
  );
  const pack = (params: Record<string, number>): DataView => {
    const view = new DataView(new ArrayBuffer(24));
    packParams('kernel', reflection, params, view, 8);
    return view;
  };

  it('writes each type at its offset, whatever the order of the names', () => {
    const view = pack({ k: -7, x: 0.1, n: 2 ** 32 - 1 });
    expect(view.getUint32(8, true)).toBe(2 ** 32 - 1);
    expect(view.getFloat32(12, true)).toBe(Math.fround(0.1));
    expect(view.getInt32(16, true)).toBe(-7);
    expect([view.getUint32(0), view.getUint32(4), view.getUint32(20)]).toEqual([0, 0, 0]);
  });

  it.each([
    [{ n: 1, x: 0 }, 'kernel: parameter "k" is missing'],
    [{ n: 1, x: 0, k: 1, m: 2 }, 'kernel: the shader has no parameter "m"'],
    [{ n: 1.5, x: 0, k: 1 }, 'kernel: parameter "n" is 1.5, not a u32'],
    [{ n: -1, x: 0, k: 1 }, 'kernel: parameter "n" is -1, not a u32'],
    [{ n: 2 ** 32, x: 0, k: 1 }, 'kernel: parameter "n" is 4294967296, not a u32'],
    [{ n: NaN, x: 0, k: 1 }, 'kernel: parameter "n" is NaN, not a u32'],
    [{ n: 1, x: 0, k: 2 ** 31 }, 'kernel: parameter "k" is 2147483648, not a i32'],
    [{ n: 1, x: 0, k: -(2 ** 31) - 1 }, 'kernel: parameter "k" is -2147483649, not a i32'],
  ] as [Record<string, number>, string][])('refuses %j', (params, message) => {
    expect(() => pack(params)).toThrow(message);
  });
});
