// The text of a kernel whose parameters are immediates: what immediates.ts makes of a shader.
import { expect, it } from 'vitest';
import { withHalves } from '../../src/gpu/half.ts';
import { withImmediates } from '../../src/gpu/immediates.ts';
import { reflect } from '../../src/gpu/reflect.ts';
import { readShaders } from '../../src/platform/node.ts';

const SHADER = `// What it does, with "@group(0) @binding(1) var<uniform>" in words.
enable subgroups;
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: Params; // how many
@compute @workgroup_size(1)
fn main() { y[p.n] = 1.0; }
`;

it('has its parameters declared as immediates, and all else where it was', () => {
  const [first, ...rest] = withImmediates('f.wgsl', SHADER).split('\n');
  expect(first).toBe(`requires immediate_address_space; ${SHADER.split('\n')[0]}`);
  const declared = 'var<immediate> p: Params; // how many';
  const expected = SHADER.split('\n').slice(1);
  expect(rest).toEqual(expected.map(line => (line.includes('var<uniform> p') ? declared : line)));
});

it('refuses a text without parameters, or with two', () => {
  const none = SHADER.replace(/^.*var<uniform> p.*$/m, '');
  expect(() => withImmediates('f.wgsl', none)).toThrow(/^f\.wgsl: 0 lines begin with/);
  const two = SHADER.replace('struct', '@group(0) @binding(2) var<uniform> q: Params;\nstruct');
  expect(() => withImmediates('f.wgsl', two)).toThrow(/^f\.wgsl: 2 lines begin with/);
});

it('is no larger than what devices have, 64 bytes, for any shader file', () => {
  for (const [name, text] of readShaders())
    expect(reflect(name, text).uniformSize, name).toBeLessThanOrEqual(64);
});

it('can be made of every shader file, and with buffers of f16 before it', () => {
  for (const [name, text] of readShaders()) {
    expect(withImmediates(name, text).match(/^var<immediate> p: Params;/gm), name).toHaveLength(1);
    expect(withImmediates(name, text), name).not.toContain('var<uniform>');
  }
  const gelu = readShaders().get('gelu')!;
  const both = withImmediates('gelu', withHalves('gelu', gelu, new Set(['x'])));
  expect(both).toMatch(/^requires immediate_address_space; enable f16; \/\//);
});
