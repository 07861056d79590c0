// GELU in GPT-2's tanh form: y = x/2 (1 + tanh u) with u = sqrt(2/pi) (x + 0.044715 x^3), elementwise.
// x, y [count]; grid: a thread ITEMS elements, 64 apart (loads first: see add.wgsl).
// Written as x / (1 + exp(-2u)), the same function: one exponential and no tanh, which some drivers overflow.
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

const ITEMS = 4u;
const GUARD = true; // workgroups may hang over

// Beyond +-10 the function is x or 0 to the last bit, and exp(-2u) at -10 is 9e37, still finite.
fn exponent(value: f32) -> f32 {
  let v = clamp(value, -10.0, 10.0);
  return -1.5957691216057308 * v * (1.0 + 0.044715 * v * v);
}

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
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    let i = first + k * 64u;
    if (!GUARD || i < p.count) {
      y[i] = xHeld[k] / (1.0 + exp(exponent(xHeld[k])));
    }
  }
}
