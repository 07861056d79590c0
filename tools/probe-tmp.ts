import { openNodeGpu, readShaders } from '../src/platform/node.ts';
import { empty, upload, read } from '../src/tensor.ts';
const shaders = new Map(readShaders());
shaders.set('bad', `// bad
struct Params { n: u32 }
const K = 2u;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: Params;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  // @unroll
  for (var i = 0u; i < K; i++) {
    y[i] = 1.0;
  }
  y[id.x] = missing;
}
`);
shaders.set('syntax', `// bad
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  y[id.x] = = 2.0;
}
`);
const tick = () => new Promise(r => setTimeout(r, 0));
async function attempt(name: string, f: (gpu: any) => Promise<unknown>) {
  const o = await openNodeGpu('auto', { shaders });
  try { console.log(name, 'ok', await f(o.gpu)); } catch (e: any) { console.log(name, e.name, JSON.stringify(e.message), e.kernel); }
  o.close();
}
await attempt('compile-read', async gpu => { const y = empty(gpu, [4]); gpu.run('bad', { y }, { n: 1 }, { groups: 1, unroll: true }); await read(y); });
await attempt('compile-tick', async gpu => { const y = empty(gpu, [4]); gpu.run('bad', { y }, { n: 1 }, { groups: 1, unroll: true }); gpu.submit(); for (let i = 0; i < 50; i++) { await tick(); gpu.run('fill', { y }, { size: 4, bits: 0 }, { groups: 1 }); } });
await attempt('compile-tick-nosubmit', async gpu => { const y = empty(gpu, [4]); gpu.run('bad', { y }, { n: 1 }, { groups: 1, unroll: true }); for (let i = 0; i < 50; i++) { await tick(); gpu.run('fill', { y }, { size: 4, bits: 0 }, { groups: 1 }); } });
await attempt('compile-finish', async gpu => { const y = empty(gpu, [4]); gpu.run('bad', { y }, { n: 1 }, { groups: 1, unroll: true }); await gpu.finish(); });
await attempt('syntax', async gpu => { const y = empty(gpu, [4]); gpu.run('syntax', { y }, {}, { groups: 1 }); await read(y); });
await attempt('alias', async gpu => { const y = empty(gpu, [4]); gpu.run('copy', { x: y, y }, { count: 4, xStart: 0, yStart: 0, beta: 0 }, { groups: 1 }); await read(y); });
await attempt('alias-finish', async gpu => { const y = empty(gpu, [4]); gpu.run('copy', { x: y, y }, { count: 4, xStart: 0, yStart: 0, beta: 0 }, { groups: 1 }); await gpu.finish(); });
await attempt('over limit', async gpu => { console.log(gpu.limits, gpu.device.limits.maxBufferSize); empty(gpu, [2 ** 40]); });
await attempt('lost-next', async gpu => { const y = empty(gpu, [4]); gpu.device.destroy(); await tick(); gpu.run('fill', { y }, { size: 4, bits: 0 }, { groups: 1 }); });
await attempt('lost-now', async gpu => { const y = empty(gpu, [4]); gpu.device.destroy(); gpu.run('fill', { y }, { size: 4, bits: 0 }, { groups: 1 }); await read(y); });
await attempt('lost-pending', async gpu => { const y = upload(gpu, new Float32Array(4), [4]); const r = read(y); gpu.device.destroy(); await r; });
await attempt('closed', async gpu => { const y = upload(gpu, new Float32Array(4), [4]); gpu.destroy(); await read(y); });
await attempt('closed-pending', async gpu => { const y = upload(gpu, new Float32Array(4), [4]); const r = read(y); gpu.destroy(); return await r; });
await attempt('foreign', async gpu => { const o = await openNodeGpu(); const x = upload(o.gpu, new Float32Array(4), [4]); const y = empty(gpu, [4]); try { gpu.run('copy', { x, y }, { count: 4, xStart: 0, yStart: 0, beta: 0 }, { groups: 1 }); await read(y); } finally { o.close(); } });
