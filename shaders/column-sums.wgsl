// y[s, n] = sum of x[m, n] over the rows m of part s (+ y): a bias gradient, in fixed order.
// x [M, N], y [S, N] with S = ceil(M / rows). Grid: one thread an (s, n), folded. For S > 1 the caller runs it
// again on y, so that long columns are summed by many threads and still in one order.

struct Params {
  M: u32,
  N: u32,
  rows: u32,
  beta: u32,
}

const WORKGROUP = 16u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (wid.x + wid.y * nwg.x) * WORKGROUP + lane;
  let part = i / p.N;
  let n = i % p.N;
  let start = part * p.rows;
  if (start >= p.M) {
    return;
  }
  let end = min(start + p.rows, p.M);
  var sum = 0.0;
  for (var m = start; m < end; m++) {
    sum += x[m * p.N + n];
  }
  if (p.beta == 1u) {
    sum += y[i];
  }
  y[i] = sum;
}
