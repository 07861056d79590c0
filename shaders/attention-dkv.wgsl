// Gradients of the keys and values of one pass, columns [t0, t1), from every recorded query that saw them: those
// of the pass itself and of all later passes, whose records attention-dq.wgsl left behind.
//   w[t,s] = exp(q[t]·k[s] * scale - lse[t]),  dScore[t,s] = w[t,s] * (dOut[t]·v[s] - delta[t])
//   dk[s,:] = sum_t dScore[t,s] * q[t,:] * scale
//   dv[s,:] = sum_t w[t,s] * dOut[t,:]                     for queries t >= s, keys s >= first[b]
// Records end with the last column: the pass's own query t lies in row t + shift, later queries in the rows
// after them, so a key's queries are the rows from s + shift on. A thread owns its key: no atomics, fixed order.
// Grid: one thread a key of a head, (t1-t0)*B*H, heads fastest.
const D = 16u;
const WG = 64u;
const ADD = false; // dqkv is added to

struct Params {
  t0: u32,
  t1: u32,
  start: u32, // first column of the pass with a query
  B: u32,
  H: u32,
  shift: u32,
  end: u32,   // rows of records (columns)
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;        // [columns*B, 3C], C = H*D; k and v are read
@group(0) @binding(1) var<storage, read> first: array<u32>;      // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> records: array<f32>;    // [columns*B, H, 2D+4]: q*scale, dOut, lse, delta
@group(0) @binding(3) var<storage, read_write> dqkv: array<f32>; // [(t1-t0)*B, 3C]; dk and dv are written
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let i = (wid.x + wid.y * nwg.x) * WG + lid;
  if (i >= (p.t1 - p.t0) * p.B * p.H) { return; }
  let C = p.H * D;
  let h = i % p.H;
  let row = i / p.H;
  let b = row % p.B;
  let s = p.t0 + row / p.B;
  let key = (s * p.B + b) * 3u * C + C + h * D;

  var k: array<f32, D>;
  var v: array<f32, D>;
  var q: array<f32, D>;
  var g: array<f32, D>; // dOut
  var dk: array<f32, D>;
  var dv: array<f32, D>;
  // @unroll
  for (var d = 0u; d < D; d++) {
    k[d] = qkv[key + d];
    v[d] = qkv[key + C + d];
    dk[d] = 0.0;
    dv[d] = 0.0;
  }

  // No query sees a pad key.
  for (var r = select(p.end, max(s, p.start) + p.shift, s >= first[b]); r < p.end; r++) {
    let record = ((r * p.B + b) * p.H + h) * (2u * D + 4u);
    var score = 0.0;
    var dw = 0.0;
    // @unroll
    for (var d = 0u; d < D; d++) {
      q[d] = records[record + d];
      g[d] = records[record + D + d];
      score += q[d] * k[d];
      dw += g[d] * v[d];
    }
    let w = exp(score - records[record + 2u * D]);
    let dScore = w * (dw - records[record + 2u * D + 1u]);
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += dScore * q[d];
      dv[d] += w * g[d];
    }
  }

  let at = row * 3u * C + C + h * D;
  // dScore of queries that were not wanted is zero, and so is their dq.
  if (!ADD && s < p.start) {
    // @unroll
    for (var d = 0u; d < D; d++) {
      dqkv[at - C + d] = 0.0;
    }
  }
  if (ADD) {
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += dqkv[at + d];
      dv[d] += dqkv[at + C + d];
    }
  }
  // @unroll
  for (var d = 0u; d < D; d++) {
    dqkv[at + d] = dk[d];
    dqkv[at + C + d] = dv[d];
  }
}
