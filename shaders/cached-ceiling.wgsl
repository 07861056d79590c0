// The adapter's ceiling of loads from its caches: each thread loads STEPS vec4s of x a turn and moves on, around a
// buffer so small that it stays in a cache; the sum of all is stored, so that the loads are not removed. For RUNS see
// stream-ceiling.wgsl. x [size] vec4s, size a power of two of at least 64 · STEPS; y [threads]. Grid: 64 threads a
// workgroup.
struct Params { size: u32, turns: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

const STEPS = 8u;
const RUNS = false;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let stride = select(64u, 1u, RUNS);
  let lane = lid.x * select(1u, STEPS, RUNS);
  var sum = vec4f();
  for (var turn = 0u; turn < p.turns; turn++) {
    let start = (((wid.x + turn) * 64u * STEPS) & (p.size - 1u)) + lane;
    // @unroll
    for (var i = 0u; i < STEPS; i++) {
      sum += x[start + i * stride];
    }
  }
  y[wid.x * 64u + lid.x] = sum.x + sum.y + sum.z + sum.w;
}
