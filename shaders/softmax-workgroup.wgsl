// The function of softmax.wgsl for GPUs and for few rows of a large vocabulary: a workgroup a row, its threads 128
// columns apart. Each keeps a maximum and a sum of exponentials against it; a tree merges them in a fixed order.
// x, y [R, V]. Grid: a workgroup a row.
struct Params { R: u32, V: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

const LOWEST = -3.4028234e38;

var<workgroup> tops: array<f32, 128>;
var<workgroup> sums: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = wid.x + wid.y * nwg.x;
  if (r >= p.R) { return; }
  let row = r * p.V;
  var top = LOWEST;
  var sum = 0.0;
  for (var v = lid.x; v < p.V; v += 128u) {
    let value = x[row + v];
    if (value > top) {
      sum = sum * exp(top - value) + 1.0;
      top = value;
    } else {
      sum += exp(value - top);
    }
  }
  tops[lid.x] = top;
  sums[lid.x] = sum;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (lid.x < half) {
      let best = max(tops[lid.x], tops[lid.x + half]);
      sums[lid.x] = sums[lid.x] * exp(tops[lid.x] - best) + sums[lid.x + half] * exp(tops[lid.x + half] - best);
      tops[lid.x] = best;
    }
    workgroupBarrier();
  }
  let share = 1.0 / sums[0];
  for (var v = lid.x; v < p.V; v += 128u) {
    y[row + v] = exp(x[row + v] - tops[0]) * share;
  }
}
