// Elementwise sum: y[i] = a[i] + b[i] for i < count.
// a, b, y [count]; grid: a thread ITEMS elements, 64 apart.
// Loads come first, clamped instead of guarded: on a CPU-run adapter that is three times as fast as a loop of ifs.
// A branch costs SwiftShader what it holds even where it is not taken: constants leave out what no element needs.
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const ITEMS = 4u;
const GUARD = true; // workgroups may hang over

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  let first = group * 64u * ITEMS + lid.x;
  let last = p.count - 1u;
  var aHeld: array<f32, ITEMS>;
  var bHeld: array<f32, ITEMS>;
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    aHeld[k] = a[min(first + k * 64u, last)];
    bHeld[k] = b[min(first + k * 64u, last)];
  }
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    let i = first + k * 64u;
    if (!GUARD || i < p.count) { y[i] = aHeld[k] + bHeld[k]; }
  }
}
