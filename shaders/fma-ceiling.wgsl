// The adapter's ceiling of multiply-adds: CHAINS independent chains a thread, nothing loaded, one value stored so
// that the work is not removed. y [threads]. Grid: 64 threads a workgroup.

struct Params {
  iterations: u32,
  scale: f32,
}

const CHAINS = 16u;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  var chain: array<f32, CHAINS>;
  // @unroll
  for (var i = 0u; i < CHAINS; i++) {
    chain[i] = f32(thread.x + i);
  }
  for (var k = 0u; k < p.iterations; k++) {
    // @unroll
    for (var i = 0u; i < CHAINS; i++) {
      chain[i] = chain[i] * p.scale + 0.5;
    }
  }
  var sum = 0.0;
  // @unroll
  for (var i = 0u; i < CHAINS; i++) {
    sum += chain[i];
  }
  y[thread.x] = sum;
}
