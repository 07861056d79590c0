// The adapter's ceiling of multiply-adds: CHAINS independent chains a thread, REPEATS steps of each at a time, so
// that a chain kept in memory (SwiftShader's are) is read and written once for several; one value is stored, so that
// the work is not removed. y [threads]. Grid: 64 threads a workgroup.

struct Params {
  iterations: u32,
  scale: f32,
}

const CHAINS = 8u;
const REPEATS = 8u;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  var chain: array<f32, CHAINS>;
  // @unroll
  for (var i = 0u; i < CHAINS; i++) {
    chain[i] = f32(thread.x + i);
  }
  let scale = p.scale;
  let half = p.scale * 0.5;
  for (var k = 0u; k < p.iterations; k++) {
    // @unroll
    for (var i = 0u; i < CHAINS; i++) {
      var x = chain[i];
      // @unroll
      for (var r = 0u; r < REPEATS; r++) {
        x = x * scale + half;
      }
      chain[i] = x;
    }
  }
  var sum = 0.0;
  // @unroll
  for (var i = 0u; i < CHAINS; i++) {
    sum += chain[i];
  }
  y[thread.x] = sum;
}
