// Gradients of layernorm.wgsl. With n = (x - mean) * rstd and g = dy * gamma, row by row:
//   dx = rstd * (g - average(g) - n * average(g n))   (+ dx where ADD, + plus where PLUS)
//   parts[block] = sum of dy n over the block's rows, for gamma, then sum of dy, for beta
// x, dy, plus, dx [M, C], gamma [C], mean, rstd [M], parts [ceil(M / ROWS), 2C]; plus and parts any, if not asked for.
// For CPU-run adapters: no barrier, a thread a block of ROWS whole rows. The parts cost little here, where n is at
// hand; sum-halves.wgsl adds them up in order. Grid: a thread ROWS rows.
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

const WG = 8u; // the lanes of the CPU's vectors are best
const ROWS = 4u;
const GUARD = true; // M is no multiple of ROWS
const ADD = false; // dx is added to
const PLUS = false; // dx is the gradient and plus
const PARTS = true;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let part = (wid.x + wid.y * nwg.x) * WG + lid.x;
  let row = part * ROWS;
  if (row >= p.M) { return; }
  var at: array<u32, ROWS>; // where row r starts; rows past the end repeat the last one and are not stored
  var mu: array<f32, ROWS>;
  var inverse: array<f32, ROWS>; // rstd
  var live: array<f32, ROWS>; // 1, or 0 for a row past the end
  var sumG: array<f32, ROWS>; // sum, then average, of g
  var sumGN: array<f32, ROWS>; // sum, then average, of g n
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    let real = min(row + r, p.M - 1u);
    at[r] = real * p.C;
    mu[r] = mean[real];
    inverse[r] = rstd[real];
    live[r] = select(0.0, 1.0, row + r < p.M);
    sumG[r] = 0.0;
    sumGN[r] = 0.0;
  }
  for (var c = 0u; c < p.C; c++) {
    let weight = gamma[c];
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let g = dy[at[r] + c] * weight;
      sumG[r] += g;
      sumGN[r] += g * (x[at[r] + c] - mu[r]) * inverse[r];
    }
  }
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    sumG[r] /= f32(p.C);
    sumGN[r] /= f32(p.C);
  }
  for (var c = 0u; c < p.C; c++) {
    let weight = gamma[c];
    var partGamma = 0.0;
    var partBeta = 0.0;
    // @unroll
    for (var r = 0u; r < ROWS; r++) {
      let i = at[r] + c;
      let n = (x[i] - mu[r]) * inverse[r];
      let d = dy[i];
      partGamma += select(d * n, live[r] * d * n, GUARD);
      partBeta += select(d, live[r] * d, GUARD);
      if (!GUARD || row + r < p.M) {
        var value = inverse[r] * (d * weight - sumG[r] - n * sumGN[r]);
        if (ADD) { value += dx[i]; }
        if (PLUS) { value += plus[i]; }
        dx[i] = value;
      }
    }
    if (PARTS) {
      parts[part * 2u * p.C + c] = partGamma;
      parts[(part * 2u + 1u) * p.C + c] = partBeta;
    }
  }
}
