// Softmax of each row, with top = max over v of x[r, v]:
//   y[r, v] = exp(x[r, v] - top) / sum over w of exp(x[r, w] - top)
// x, y [R, V]. For CPU-run adapters: no barrier, a thread a row; the sum of exponentials goes eight columns at a time
// against the maximum so far, as in cross-entropy.wgsl.
struct Params { R: u32, V: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

const CHUNK = 8u;
const GUARD = true; // V is no multiple of CHUNK
const LOWEST = -3.4028234e38;

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = (wid.x + wid.y * nwg.x) * 4u + lid.x;
  if (r >= p.R) { return; }
  let row = r * p.V;
  var top = LOWEST; // the maximum so far
  var sum = 0.0; // of exp(x - top)
  var held: array<f32, CHUNK>;
  for (var start = 0u; start < p.V; start += CHUNK) {
    var best = top;
    // @unroll
    for (var k = 0u; k < CHUNK; k++) {
      held[k] = LOWEST;
      if (!GUARD || start + k < p.V) { held[k] = x[row + start + k]; }
      best = max(best, held[k]);
    }
    var part = 0.0;
    // @unroll
    for (var k = 0u; k < CHUNK; k++) {
      part += exp(held[k] - best);
    }
    sum = sum * exp(top - best) + part;
    top = best;
  }
  let share = 1.0 / sum;
  for (var v = 0u; v < p.V; v++) {
    y[row + v] = exp(x[row + v] - top) * share;
  }
}
