// Gradients of attention's keys and values, of every column [0, t1) that the pass [t0, t1) saw:
//   w[t,s] = exp(q[t]·k[s] * scale - lse[t]),  dScore[t,s] = w[t,s] * (dOut[t]·v[s] - delta[t])
//   dk[s,:] = sum_t dScore[t,s] * q[t,:] * scale
//   dv[s,:] = sum_t w[t,s] * dOut[t,:]                     for queries t in [max(s, t0), t1), s >= first[b]
// Passes run backward last to first. Columns before t0 belong to earlier passes: their sums wait in the
// gradient store dkv. Columns of this pass are complete, as later passes have left theirs there: they go to
// the k and v parts of dqkv. A thread owns its key, so there are no atomics and the order is fixed.
// Grid: one thread a key of a head, t1*B*H, heads fastest.
const D = 16u;
const WG = 64u;

struct Params {
  t0: u32,
  t1: u32,
  B: u32,
  H: u32,
  scale: f32,       // 1 / sqrt(D)
  beta: u32,        // 0: dqkv is overwritten, 1: added to
  accumulated: u32, // 1: dkv [0, t1) holds sums of later passes, 0: it holds nothing yet
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;        // [(t1-t0)*B, 3C], C = H*D; only q is read
@group(0) @binding(1) var<storage, read> kv: array<f32>;         // [columns*B, 2C], columns >= t1
@group(0) @binding(2) var<storage, read> first: array<u32>;      // [B] first visible column of each row
@group(0) @binding(3) var<storage, read> dOut: array<f32>;       // [(t1-t0)*B, C]
@group(0) @binding(4) var<storage, read> lse: array<f32>;        // [(t1-t0)*B, H]
@group(0) @binding(5) var<storage, read> delta: array<f32>;      // [(t1-t0)*B, H]
@group(0) @binding(6) var<storage, read_write> dqkv: array<f32>; // [(t1-t0)*B, 3C]; dk and dv are written
@group(0) @binding(7) var<storage, read_write> dkv: array<f32>;  // [columns*B, 2C]; unused if t0 = accumulated = 0
@group(0) @binding(8) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let i = (wid.x + wid.y * nwg.x) * WG + lid;
  if (i >= p.t1 * p.B * p.H) { return; }
  let C = p.H * D;
  let h = i % p.H;
  let b = i / p.H % p.B;
  let s = i / (p.H * p.B);
  let key = (s * p.B + b) * 2u * C + h * D;

  var k: array<f32, D>;
  var v: array<f32, D>;
  var q: array<f32, D>;
  var g: array<f32, D>; // dOut
  var dk: array<f32, D>;
  var dv: array<f32, D>;
  // @unroll
  for (var d = 0u; d < D; d++) {
    k[d] = kv[key + d];
    v[d] = kv[key + C + d];
    dk[d] = 0.0;
    dv[d] = 0.0;
  }

  // No query sees a pad key.
  for (var t = select(p.t1, max(s, p.t0), s >= first[b]); t < p.t1; t++) {
    let row = (t - p.t0) * p.B + b;
    var score = 0.0;
    var dw = 0.0;
    // @unroll
    for (var d = 0u; d < D; d++) {
      q[d] = qkv[row * 3u * C + h * D + d] * p.scale;
      g[d] = dOut[row * C + h * D + d];
      score += q[d] * k[d];
      dw += g[d] * v[d];
    }
    let w = exp(score - lse[row * p.H + h]);
    let dScore = w * (dw - delta[row * p.H + h]);
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += dScore * q[d];
      dv[d] += w * g[d];
    }
  }

  if (p.accumulated != 0u) {
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += dkv[key + d];
      dv[d] += dkv[key + C + d];
    }
  }
  if (s < p.t0) {
    // @unroll
    for (var d = 0u; d < D; d++) {
      dkv[key + d] = dk[d];
      dkv[key + C + d] = dv[d];
    }
  } else {
    let at = ((s - p.t0) * p.B + b) * 3u * C + C + h * D;
    if (p.beta != 0u) {
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
}
