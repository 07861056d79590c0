// Kernels by name: what a caller gets wrong is named, and a shader that does not compile shows its own lines.
import { describe, expect, it } from 'vitest';
import { GpuCompileError, GpuError } from '../../src/gpu/errors.ts';
import { variantKey } from '../../src/gpu/kernels.ts';
import { empty, read, upload } from '../../src/tensor.ts';
import { AFFINE, gpuOfTest, gpuWith } from './kernels.ts';

/** Line 9 (the last of the loop) does not compile: there is no function `missing`. */
const BROKEN = `const N = 2u;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn main() {
  var held: array<f32, N>;
  // @unroll
  for (var k = 0u; k < N; k++) {
    held[k] = 1.0;
    y[k] = missing(held[k]);
  }
}
`;
/** Compiles, but needs more workgroup memory than any device has: the pipeline is invalid, not the text. */
const TOO_LARGE = `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
var<workgroup> tile: array<f32, 4000000>;
@compute @workgroup_size(1)
fn main() { tile[u32(y[0])] = 1.0; y[1] = tile[u32(y[2])]; }
`;

async function fault(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('gpu.run', async () => {
  const gpu = await gpuWith({ affine: AFFINE });
  const x = upload(gpu, Float32Array.of(1, 2, 3), [3]);
  const y = empty(gpu, [3]);
  const params = { count: 3, a: 0.5, b: -2 };

  it('binds by variable name and packs by parameter name', async () => {
    gpu.run('affine', { y, x }, { b: -2, a: 0.5, count: 3 }, { groups: 1 });
    expect(Array.from(await read(y))).toEqual([-1.5, -3.5, -5.5]);
  });

  it.each([
    ['an unknown kernel', 'afine', { x, y }, params, /^afine: there is no shader file afine\.wgsl/],
    ['a missing binding', 'affine', { x }, params, /^affine: no tensor was given for binding "y"/],
    ['an unknown binding', 'affine', { x, y, z: x }, params, /^affine: the shader has no binding "z"/],
    ['a missing parameter', 'affine', { x, y }, { count: 3, a: 1 }, /^affine: parameter "b" is missing/],
    [
      'an unknown parameter',
      'affine',
      { x, y },
      { ...params, c: 1 },
      /^affine: the shader has no parameter "c"/,
    ],
    [
      'a u32 that is none',
      'affine',
      { x, y },
      { ...params, count: 1.5 },
      /^affine: parameter "count" is 1\.5, not a u32/,
    ],
  ])('names %s', (_, kernel, bind, given, message) => {
    expect(() => gpu.run(kernel, bind, given, { groups: 1 })).toThrow(message);
  });

  it('names an unknown constant and its file', () => {
    const how = { groups: 1, consts: { TILE: 4 } };
    expect(() => gpu.run('affine', { x, y }, params, how)).toThrow(
      /^affine: shaders\/affine\.wgsl: no line "const TILE/,
    );
    expect(() => gpu.run('affine', { x, y }, params, how)).toThrow(GpuCompileError);
  });

  it('a refused call leaves the device and its parameters as they were', async () => {
    gpu.run('affine', { x, y }, params, { groups: 1 });
    expect(() => gpu.run('affine', { x }, params, { groups: 1 })).toThrow(GpuError);
    expect(() => gpu.run('affine', { x, y }, { count: 3, a: 9 }, { groups: 1 })).toThrow(/"b" is missing/);
    const z = empty(gpu, [3]);
    gpu.run('affine', { x, y: z }, { count: 3, a: 1, b: 1 }, { groups: 1 });
    expect(Array.from(await read(y))).toEqual([-1.5, -3.5, -5.5]);
    expect(Array.from(await read(z))).toEqual([2, 3, 4]);
    z.free();
  });

  it('compiles a variant once', () => {
    const before = gpu.compiled;
    gpu.run('add', { a: x, b: x, y }, { count: 3 }, { groups: 1, consts: { ITEMS: 2 } });
    expect(gpu.compiled).toBe(before + 1);
    gpu.run('add', { a: x, b: x, y }, { count: 3 }, { groups: 1, consts: { ITEMS: 2 } });
    expect(gpu.compiled).toBe(before + 1);
    gpu.run('add', { a: x, b: x, y }, { count: 3 }, { groups: 1, consts: { ITEMS: 2 }, unroll: true });
    expect(gpu.compiled).toBe(before + 2);
  });
});

it('a variant is named by its constants in order of name', () => {
  expect(variantKey('k', {}, false)).toBe('k');
  expect(variantKey('k', { B: true, A: 4 }, true)).toBe('k[A=4,B=true,unroll]');
  expect(variantKey('k', { A: 4, B: true }, true)).toBe(variantKey('k', { B: true, A: 4 }, true));
});

describe('a shader that does not compile', () => {
  it.each([
    ['read', false],
    ['read', true],
    ['finish', false],
    ['finish', true],
  ] as const)('is reported by %s() with the lines of the file, unrolled: %s', async (way, unroll) => {
    const gpu = await gpuOfTest({}, { broken: BROKEN });
    const y = empty(gpu, [2]);
    gpu.run('broken', { y }, {}, { groups: 1, unroll });
    const error = await fault(() => (way === 'read' ? read(y) : gpu.finish()));
    expect(error).toBeInstanceOf(GpuCompileError);
    const { message, kernel } = error as GpuCompileError;
    expect(kernel).toBe('broken');
    expect(message).toMatch(/^broken: does not compile\nshaders\/broken\.wgsl:9: .*missing/);
    expect(message).toContain('\n    y[k] = missing(held[k]);');
    // Every later call says the same, not what followed from it.
    expect(() => gpu.run('fill', { y }, { size: 2, bits: 0 }, { groups: 1 })).toThrow(message);
    expect(await fault(() => gpu.finish())).toBe(error);
    expect(await fault(() => read(y))).toBe(error);
  });

  it('is named where the text is fine but the device cannot run it', async () => {
    const gpu = await gpuOfTest({}, { large: TOO_LARGE });
    const y = empty(gpu, [3]);
    gpu.run('large', { y }, {}, { groups: 1, unroll: true });
    const error = await fault(() => gpu.finish());
    expect(error).toBeInstanceOf(GpuError);
    expect((error as GpuError).kernel).toMatch(/^large/);
  });

  it('is reported at the call where it is a fault of the text alone', async () => {
    const gpu = await gpuOfTest({}, { open: '@compute @workgroup_size(1) fn main() {\n  let = 3;\n}' });
    expect(() => gpu.run('open', {}, {}, { groups: 1 })).toThrow(/^open: shaders\/open\.wgsl:2: /);
    expect(() => gpu.run('open', {}, {}, { groups: 1 })).toThrow(GpuCompileError);
  });
});
