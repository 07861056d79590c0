// Kernels with buffers stored as f16: the text that half.ts makes of a shader, and where the adapter has f16, that
// every kernel compiles so and what a conversion does to special values.
import { describe, expect, it } from 'vitest';
import { copy } from '../../src/flat.ts';
import { withHalves } from '../../src/gpu/half.ts';
import { reflect } from '../../src/gpu/reflect.ts';
import { specialise } from '../../src/gpu/shader.ts';
import { readShaders } from '../../src/platform/node.ts';
import { empty, read, readU32, upload } from '../../src/tensor.ts';
import { testGpu } from '../device.ts';

const gpu = await testGpu();
const f16 = gpu.features.has('shader-f16');

/** The body of `main` with these lines and buffers, converted and without the helpers. */
function converted(body: string, halves = ['x', 'y', 'v']): string {
  const text = withHalves('f.wgsl', shader(body), new Set(halves));
  return text.slice(text.indexOf('main() {') + 'main() {'.length, text.indexOf('\n}\n')).trim();
}

function shader(body: string): string {
  return `// What it does with x[i].
@group(0) @binding(0) var<storage, read> x: array<f32>; // x[i]
@group(0) @binding(1) var<storage, read_write> y : array< f32 >;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@compute @workgroup_size(1)
fn main() {
${body}
}
`;
}

describe('the text of a kernel with buffers of f16', () => {
  it.each([
    ['let a = x[i];', 'let a = f32(x[i]);'],
    ['let a = v[2u * i].x;', 'let a = vec4f(v[2u * i]).x;'],
    ['let a = v[i][ids[j] % 4u];', 'let a = vec4f(v[i])[ids[j] % 4u];'],
    ['y[i] = a;', 'y[i] = asHalf(a);'],
    ['v[i + 1u] = vec4f();', 'v[i + 1u] = asHalf4(vec4f());'],
    ['y[i] += a * b;', 'y[i] = asHalf(f32(y[i]) + (a * b));'],
    ['y[i] -= a - b;', 'y[i] = asHalf(f32(y[i]) - (a - b));'],
    ['v[i][k] = a;', 'v[i][k] = asHalf(a);'],
    ['v[i].y -= a;', 'v[i].y = asHalf(f32(v[i].y) - (a));'],
    ['if (c) { y[i] = x[i]; }', 'if (c) { y[i] = asHalf(f32(x[i])); }'],
    ['y[u32(x[i])] = x[ids[i]] + y[j];', 'y[u32(f32(x[i]))] = asHalf(f32(x[ids[i]]) + f32(y[j]));'],
    ['if (x[i] == y[j]) { return; }', 'if (f32(x[i]) == f32(y[j])) { return; }'],
    ['if (a && x[i] > 0.0) { return; }', 'if (a && f32(x[i]) > 0.0) { return; }'],
    // What only looks like one of them.
    ['let a = p.x + four.y + xs[i] + v2[i];', 'let a = p.x + four.y + xs[i] + v2[i];'],
    ['// y[i] = x[i];', '// y[i] = x[i];'],
    ['a = x /* x[j]; */ [i];', 'a = f32(x[i]);'],
  ])('%s', (before, after) => {
    expect(converted(before)).toBe(after);
  });

  it('changes what is named alone, and no line number', () => {
    expect(converted('y[i] = x[i] + v[i].x;', ['x'])).toBe('y[i] = f32(x[i]) + v[i].x;');
    const source = shader('y[i] = x[i];');
    expect(withHalves('f.wgsl', source, new Set())).toBe(source);
    const lines = withHalves('f.wgsl', source, new Set(['y', 'v'])).split('\n');
    expect(lines[0]).toBe('enable f16; // What it does with x[i].');
    expect(lines[1]).toBe(source.split('\n')[1]);
    expect(lines[2]).toBe('@group(0) @binding(1) var<storage, read_write> y : array< f16 >;');
    expect(lines[3]).toBe('@group(0) @binding(2) var<storage, read_write> v: array<vec4h>;');
    expect(lines[7]).toBe('y[i] = asHalf(x[i]);');
  });

  it.each([
    ['let p = &y[i];', ['y'], 'f.wgsl:8: "y" is used as something else'],
    ['let n = arrayLength(&x);', ['x'], 'f.wgsl:8: "x" is used as something else'],
    ['\nlet x = 1.0;', ['x'], 'f.wgsl:9: "x" is used as something else'],
    ['', ['ids'], 'f.wgsl:5: "ids" is an array of u32, which cannot be stored as f16'],
    ['', ['z'], 'f.wgsl: "z" is no storage buffer'],
  ])('%j: what cannot be converted is refused', (body, halves, message) => {
    expect(() => converted(body, halves)).toThrow(message);
  });
});

/** Kernels of our own, and their buffers that f16 could be in. */
const kernels = [...readShaders()].map(([name, source]): [string, string, string[]] => [
  name,
  source,
  [...source.matchAll(/var<storage, \w+> (\w+): array<(?:f32|vec4f)>/g)].map(match => match[1]!),
]);

it.each(kernels)(
  '%s: the text with all buffers of f16 can be read, and has all conversions',
  (name, source, halves) => {
    const text = withHalves(`${name}.wgsl`, source, new Set(halves));
    expect(reflect(name, text).bindings).toEqual(reflect(name, source).bindings);
    const code = text.replace(/\/\/[^\n]*/g, '');
    for (const buffer of halves)
      expect(code).toMatch(new RegExp(`\\b(f32|vec4f)\\(${buffer}\\[|\\b${buffer}\\[[^;]*\\] = asHalf4?\\(`));
  },
);

it.skipIf(!f16)(
  'every kernel compiles with all its buffers of f16 (needs an adapter with shader-f16)',
  async () => {
    for (const [name, source, halves] of kernels) {
      const { code } = specialise(name, withHalves(name, source, new Set(halves)), {}, true);
      const { messages } = await gpu.device.createShaderModule({ code }).getCompilationInfo();
      expect(
        messages.filter(({ type }) => type === 'error').map(({ message }) => `${name}: ${message}`),
      ).toEqual([]);
    }
  },
);

it.skipIf(!f16)(
  'numbers are rounded, and what is too large becomes infinite (needs shader-f16)',
  async () => {
    const values = [
      0,
      -0,
      1,
      -2.5,
      65504,
      -65504,
      65505,
      -1e9,
      3e38,
      Infinity,
      -Infinity,
      NaN,
      1 + 2 ** -11,
      2 ** -24,
      1 / 3,
    ];
    const x = upload(gpu, Float32Array.from(values), [values.length]);
    const y = empty(gpu, [values.length], 'f16');
    expect(y.bytes).toBe(32);
    copy(x, y);
    const bits = new Uint16Array((await readU32(y)).buffer, 0, values.length);
    expect([...bits].map(b => b.toString(16))).toEqual(
      '0 8000 3c00 c100 7bff fbff 7c00 fc00 7c00 7c00 fc00 7e00 3c00 1 3555'.split(' '),
    );
    const z = empty(gpu, [values.length]);
    copy(y, z);
    const big = Infinity;
    const expected = [
      0,
      -0,
      1,
      -2.5,
      65504,
      -65504,
      big,
      -big,
      big,
      big,
      -big,
      NaN,
      1,
      2 ** -24,
      1365 / 4096,
    ];
    expect([...(await read(z))]).toEqual(expected);
    for (const tensor of [x, y, z]) tensor.free();
  },
);
