// The gradients of layernorm-backward.wgsl for GPUs: a workgroup a block of ROWS rows, its threads 64 columns apart.
// x, dy, plus, dx [M, C], gamma [C], mean, rstd [M], parts [ceil(M / ROWS), 2C]; plus and parts any, if not asked for.
// Grid: a workgroup ROWS rows.
struct Params { M: u32, C: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> rstd: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read> plus: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> parts: array<f32>;
@group(0) @binding(8) var<uniform> p: Params;

const ROWS = 4u;
const ADD = false; // dx is added to
const PLUS = false; // dx is the gradient and plus
const PARTS = true;

var<workgroup> part: array<vec2f, 64>;

// Sum of every thread's pair, the same bits for all.
fn total(value: vec2f, lane: u32) -> vec2f {
  workgroupBarrier(); // the last sum has been read
  part[lane] = value;
  workgroupBarrier();
  var sum = vec2f(0.0, 0.0);
  for (var t = 0u; t < 64u; t++) { sum += part[t]; }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  let row = group * ROWS;
  if (row >= p.M) { return; }
  var averages: array<vec2f, ROWS>; // of g and of g n, as in layernorm-backward.wgsl
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let real = min(row + r, p.M - 1u);
    var sums = vec2f(0.0, 0.0);
    for (var c = lid.x; c < p.C; c += 64u) {
      let g = dy[real * p.C + c] * gamma[c];
      sums += vec2f(g, g * (x[real * p.C + c] - mean[real]) * rstd[real]);
    }
    averages[r] = total(sums, lid.x) / f32(p.C);
  }
  for (var c = lid.x; c < p.C; c += 64u) {
    let weight = gamma[c];
    var partGamma = 0.0;
    var partBeta = 0.0;
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      if (row + r < p.M) {
        let i = (row + r) * p.C + c;
        let inverse = rstd[row + r];
        let n = (x[i] - mean[row + r]) * inverse;
        let d = dy[i];
        partGamma += d * n;
        partBeta += d;
        var value = inverse * (d * weight - averages[r].x - n * averages[r].y);
        if (ADD) { value += dx[i]; }
        if (PLUS) { value += plus[i]; }
        dx[i] = value;
      }
    }
    if (PARTS) {
      parts[group * 2u * p.C + c] = partGamma;
      parts[(group * 2u + 1u) * p.C + c] = partBeta;
    }
  }
}
