// Multiply by a number that is on the device: y[i] = factor[0] * x[i] (+ y[i] with ADD) for i < count.
// x, y [count], factor [1]; grid: a thread ITEMS elements, 64 apart (loads first: see add.wgsl).
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const ITEMS = 4u;
const GUARD = true; // workgroups may hang over
const ADD = false; // y is added to

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  let first = group * 64u * ITEMS + lid.x;
  let last = p.count - 1u;
  var xHeld: array<f32, ITEMS>;
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    xHeld[k] = x[min(first + k * 64u, last)];
  }
  let times = factor[0];
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    let i = first + k * 64u;
    if (!GUARD || i < p.count) {
      var value = times * xHeld[k];
      if (ADD) { value += y[i]; }
      y[i] = value;
    }
  }
}
