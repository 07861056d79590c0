// The function of softmax-backward.wgsl for GPUs and for few rows of a large vocabulary: a workgroup a row, its threads
// 128 columns apart, their sums merged by a tree. y, dy, dx [R, V]; with beta 1 dx is added to. Grid: a workgroup a row.
struct Params { R: u32, V: u32, beta: u32 }
@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> sums: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = wid.x + wid.y * nwg.x;
  if (r >= p.R) { return; }
  let row = r * p.V;
  var sum = 0.0;
  for (var v = lid.x; v < p.V; v += 128u) {
    sum += dy[row + v] * y[row + v];
  }
  sums[lid.x] = sum;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (lid.x < half) { sums[lid.x] += sums[lid.x + half]; }
    workgroupBarrier();
  }
  for (var v = lid.x; v < p.V; v += 128u) {
    var value = y[row + v] * (dy[row + v] - sums[0]);
    if (p.beta != 0u) { value += dx[row + v]; }
    dx[row + v] = value;
  }
}
