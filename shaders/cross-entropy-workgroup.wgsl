// The function of cross-entropy.wgsl for GPUs and for few rows of a large vocabulary: a workgroup a row, its threads
// 128 columns apart. Each keeps a maximum and a sum of exponentials against it; a tree merges them in a fixed order.
// logits, dlogits [R, V], targets, losses [..] from rowStart on; dlogits only with GRADIENT. Grid: a workgroup a row.
struct Params { R: u32, V: u32, rowStart: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

const GRADIENT = true;
const LOWEST = -3.4028234e38;

var<workgroup> tops: array<f32, 128>;
var<workgroup> sums: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = wid.x + wid.y * nwg.x;
  if (r >= p.R) { return; }
  let label = targets[p.rowStart + r];
  let live = label != 0xffffffffu;
  let row = r * p.V;
  var top = LOWEST;
  var sum = 0.0;
  // A row without a label passes no barrier late: it sums nothing, but goes all the way.
  for (var v = select(p.V, lid.x, live); v < p.V; v += 128u) {
    let value = logits[row + v];
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
  top = tops[0];
  let l = log(sums[0]);
  if (lid.x == 0u) {
    var loss = 0.0;
    if (live) { loss = l + (top - logits[row + label]); }
    losses[p.rowStart + r] = loss;
  }
  if (GRADIENT) {
    for (var v = lid.x; v < p.V; v += 128u) {
      var value = 0.0;
      if (live) { value = p.scale * (exp((logits[row + v] - top) - l) - select(0.0, 1.0, v == label)); }
      dlogits[row + v] = value;
    }
  }
}
