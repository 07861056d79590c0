// Copy or add a range: y[yStart + i] = x[xStart + i] (+ y[yStart + i] with ADD) for i < count.
// x, y flat; grid: a thread ITEMS elements, 64 apart (loads first: see add.wgsl).
struct Params { count: u32, xStart: u32, yStart: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

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
    xHeld[k] = x[p.xStart + min(first + k * 64u, last)];
  }
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    let i = first + k * 64u;
    if (!GUARD || i < p.count) {
      var value = xHeld[k];
      if (ADD) { value += y[p.yStart + i]; }
      y[p.yStart + i] = value;
    }
  }
}
