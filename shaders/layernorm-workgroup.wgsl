// The function of layernorm.wgsl for GPUs: a workgroup a row, its threads 64 columns apart. Mean first, then the
// squared deviations from it, each a sum through workgroup memory in a fixed order.
// x, y [M, C], gamma, beta [C], mean, rstd [M]. Grid: a workgroup a row.
struct Params { M: u32, C: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

var<workgroup> part: array<f32, 64>;

// Sum of every thread's value, the same bits for all: one pair of barriers, where a tree would need six.
fn total(value: f32, lane: u32) -> f32 {
  workgroupBarrier(); // the last sum has been read
  part[lane] = value;
  workgroupBarrier();
  var sum = 0.0;
  for (var t = 0u; t < 64u; t++) { sum += part[t]; }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let row = wid.x + wid.y * nwg.x;
  if (row >= p.M) { return; }
  let at = row * p.C;
  var sum = 0.0;
  for (var c = lid.x; c < p.C; c += 64u) { sum += x[at + c]; }
  let mu = total(sum, lid.x) / f32(p.C);
  sum = 0.0;
  for (var c = lid.x; c < p.C; c += 64u) {
    let deviation = x[at + c] - mu;
    sum += deviation * deviation;
  }
  let inverse = 1.0 / sqrt(total(sum, lid.x) / f32(p.C) + p.eps);
  if (lid.x == 0u) {
    mean[row] = mu;
    rstd[row] = inverse;
  }
  for (var c = lid.x; c < p.C; c += 64u) {
    y[at + c] = (x[at + c] - mu) * inverse * gamma[c] + beta[c];
  }
}
