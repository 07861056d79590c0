// The adapter's ceiling of memory traffic: y = x, STEPS vec4s a thread. GPUs want neighbouring threads on neighbouring
// vec4s, CPU-run adapters a thread on its own stretch of memory (RUNS); which is faster is for the caller to try.
// x, y [count] vec4s, count a multiple of 64 · STEPS. Grid: 64 · STEPS vec4s a workgroup.
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(2) var<uniform> p: Params;

const STEPS = 4u;
const RUNS = false;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  if (group * 64u * STEPS >= p.count) { return; }
  let stride = select(64u, 1u, RUNS);
  let start = group * 64u * STEPS + lid.x * select(1u, STEPS, RUNS);
  // @unroll
  for (var i = 0u; i < STEPS; i++) {
    y[start + i * stride] = x[start + i * stride];
  }
}
