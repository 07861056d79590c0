// Gradient of gelu.wgsl, recomputed from x: with s = 1 / (1 + exp(-2u)), y = x s and
//   dx = dy s (1 + x (1 - s) 2 du/dx),  du/dx = sqrt(2/pi) (1 + 3 * 0.044715 x^2)   (+ dx with ADD).
// x, dy, dx [count]; grid: a thread ITEMS elements, 64 apart (loads first: see add.wgsl).
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const ITEMS = 4u;
const GUARD = true; // workgroups may hang over
const ADD = false; // dx is added to

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  let first = group * 64u * ITEMS + lid.x;
  let last = p.count - 1u;
  var xHeld: array<f32, ITEMS>;
  var dyHeld: array<f32, ITEMS>;
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    xHeld[k] = x[min(first + k * 64u, last)];
    dyHeld[k] = dy[min(first + k * 64u, last)];
  }
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    let i = first + k * 64u;
    if (!GUARD || i < p.count) {
      let v = clamp(xHeld[k], -10.0, 10.0); // beyond it the slope is 1 or 0 (see gelu.wgsl)
      let e = exp(-1.5957691216057308 * v * (1.0 + 0.044715 * v * v));
      let s = 1.0 / (1.0 + e);
      // 1 - s is e s: the difference would lose digits where s is near 1. Multiplied first, as v e may overflow.
      var value = dyHeld[k] * s * (1.0 + v * (e * s) * 1.5957691216057308 * (1.0 + 0.134145 * v * v));
      if (ADD) { value += dx[i]; }
      dx[i] = value;
    }
  }
}
