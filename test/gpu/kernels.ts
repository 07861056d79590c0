// Small kernels for the tests of the GPU layer, and a device that knows them beside the repository's own.
import { onTestFinished } from 'vitest';
import type { Gpu, GpuOptions } from '../../src/gpu/gpu.ts';
import { openNodeGpu, readShaders } from '../../src/platform/node.ts';
import { testGpu } from '../device.ts';

type Texts = Readonly<Record<string, string>>;

const withOwn = (own: Texts): Pick<GpuOptions, 'shaders'> => ({
  shaders: new Map([...readShaders(), ...Object.entries(own)]),
});

/** Opens a poisoned device for a test file or group, whose kernels are `own` and shaders/*.wgsl. */
export function gpuWith(own: Texts, options: Partial<GpuOptions> = {}): Promise<Gpu> {
  return testGpu({ ...withOwn(own), ...options });
}

/** The same for the test that is running, closed when that ends. */
export async function gpuOfTest(options: Partial<GpuOptions> = {}, own: Texts = {}): Promise<Gpu> {
  const opened = await openNodeGpu('auto', { poison: true, ...withOwn(own), ...options });
  onTestFinished(() => opened.close());
  return opened.gpu;
}

/** y[i] = a + b * x[i]: a parameter of each type, one input, one output. */
export const AFFINE = `
struct Params { count: u32, a: f32, b: i32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let i = (wid.x + wid.y * nwg.x) * 64u + lid.x;
  if (i < p.count) { y[i] = p.a + f32(p.b) * x[i]; }
}
`;

/** y[0] = y[0] * factor + add: a chain of these shows whether dispatches saw their own parameters, in order. */
export const CHAIN = `
struct Params { factor: f32, add: f32 }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: Params;

@compute @workgroup_size(1)
fn main() {
  y[0] = y[0] * p.factor + p.add;
}
`;
