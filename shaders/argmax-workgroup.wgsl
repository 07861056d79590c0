// The function of argmax.wgsl for GPUs and for few rows of a large vocabulary: a workgroup a row, its threads 128
// columns apart, merged by a tree. logits [R, V], y [R]. Grid: a workgroup a row.
struct Params { R: u32, V: u32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> tops: array<u32, 128>;
var<workgroup> bests: array<u32, 128>;

// The order of the numbers in their bits, as in argmax.wgsl.
fn key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) != 0u);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = wid.x + wid.y * nwg.x;
  if (r >= p.R) { return; }
  var best = 0u;
  var top = 0u;
  for (var v = lid.x; v < p.V; v += 128u) {
    let order = key(logits[r * p.V + v]);
    if (order > top) {
      top = order;
      best = v;
    }
  }
  tops[lid.x] = top;
  bests[lid.x] = best;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (lid.x < half) {
      let other = lid.x + half;
      if (tops[other] > tops[lid.x] || (tops[other] == tops[lid.x] && bests[other] < bests[lid.x])) {
        tops[lid.x] = tops[other];
        bests[lid.x] = bests[other];
      }
    }
    workgroupBarrier();
  }
  if (lid.x == 0u) { y[r] = bests[0]; }
}
