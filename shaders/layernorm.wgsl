// LayerNorm: y = (x - mean) * rstd * gamma + beta over each row, rstd = 1 / sqrt(variance + eps).
// x, y [M, C], gamma, beta [C], mean, rstd [M]. For CPU-run adapters: no barrier, a thread ROWS whole rows, so
// that gamma and beta are loaded once for all of them. Statistics by Welford, in one pass over x.
// Grid: a thread ROWS rows.
struct Params { M: u32, C: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> rstd: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

const WG = 8u; // the lanes of the CPU's vectors are best
const ROWS = 4u;
const STEP = 1u; // columns a round of the loops, of which C is a multiple
const GUARD = true; // M is no multiple of ROWS: a test a store costs SwiftShader a tenth of the time

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let row = ((wid.x + wid.y * nwg.x) * WG + lid.x) * ROWS;
  if (row >= p.M) { return; }
  var at: array<u32, ROWS>; // where row r starts; rows past the end repeat the last one and are not stored
  var mu: array<f32, ROWS>;
  var spread: array<f32, ROWS>; // sum of squared deviations, then rstd
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    at[r] = min(row + r, p.M - 1u) * p.C;
    mu[r] = 0.0;
    spread[r] = 0.0;
  }
  for (var c0 = 0u; c0 < p.C; c0 += STEP) {
    // @unroll
    for (var c = 0u; c < STEP; c++) {
      let share = 1.0 / f32(c0 + c + 1u);
      // @unroll
      for (var r = 0u; r < ROWS; r++) {
        let value = x[at[r] + c0 + c];
        let before = value - mu[r];
        mu[r] += before * share;
        spread[r] += before * (value - mu[r]);
      }
    }
  }
  // @unroll
  for (var r = 0u; r < ROWS; r++) {
    spread[r] = 1.0 / sqrt(spread[r] / f32(p.C) + p.eps);
    if (row + r < p.M) {
      mean[row + r] = mu[r];
      rstd[row + r] = spread[r];
    }
  }
  for (var c0 = 0u; c0 < p.C; c0 += STEP) {
    // @unroll
    for (var c = 0u; c < STEP; c++) {
      let g = gamma[c0 + c];
      let b = beta[c0 + c];
      // @unroll
      for (var r = 0u; r < ROWS; r++) {
        let i = at[r] + c0 + c;
        if (!GUARD || row + r < p.M) { y[i] = (x[i] - mu[r]) * spread[r] * g + b; }
      }
    }
  }
}
