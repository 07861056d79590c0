// Gradient of attention's queries, and a record of each query for the keys' gradient (attention-dkv.wgsl):
//   delta[t,b,h] = sum_d dOut[d] * out[d]
//   w[s] = exp(q·k[s] * scale - lse),  dScore[s] = w[s] * (dOut·v[s] - delta)
//   dq[t,b,h,:] = scale * sum_s dScore[s] * k[s,:]       for keys s in [first[b], t]
//   records[t + shift,b,h,:] = q * scale, dOut, lse, delta
// The weights are recomputed from the saved log-sum-exp (FlashAttention-2, arXiv 2307.08691, algorithm 2).
// With DROP, as attention-forward.wgsl explains it, kept[s] = 0 or 1 / (1 - rate) stands before w[s] in out:
//   dScore[s] = w[s] * (kept[s] * dOut·v[s] - delta)
// Grid: one thread a query of a head, (t1-t0)*B*H, heads fastest.
const D = 16u;
const WG = 64u;
const ADD = false; // dqkv is added to
const DROP = false;

struct Params {
  t0: u32,
  t1: u32,
  start: u32, // first column whose query is wanted
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
  shift: u32, // query t is kept in row t + shift of records
  site: u32,  // the rest is for DROP
  bound: u32, // rate * 2^32
  grow: f32,  // 1 / (1 - rate)
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;           // [columns*B, 3C], columns >= t1, C = H*D
@group(0) @binding(1) var<storage, read> first: array<u32>;         // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> out: array<f32>;           // [(t1-t0)*B, C]
@group(0) @binding(3) var<storage, read> dOut: array<f32>;          // [(t1-t0)*B, C]
@group(0) @binding(4) var<storage, read> lse: array<f32>;           // [(t1-t0)*B, H]
@group(0) @binding(5) var<storage, read> keys: array<vec2u>;        // [sites, B]; any, if not used
@group(0) @binding(6) var<storage, read_write> dqkv: array<f32>;    // [(t1-t0)*B, 3C]; only dq is written
@group(0) @binding(7) var<storage, read_write> records: array<f32>; // [columns*B, H, 2D+4]
@group(0) @binding(8) var<uniform> p: Params;

// Threefry-2x32 of 13 rounds, as in dropout.wgsl, which has the source.
fn mixed(v: vec2u, r: u32) -> vec2u {
  let sum = v.x + v.y;
  return vec2u(sum, ((v.y << r) | (v.y >> (32u - r))) ^ sum);
}

fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let parity = 0x1bd11bdau ^ key.x ^ key.y;
  var v = counter + key;
  v = mixed(mixed(mixed(mixed(v, 13u), 15u), 26u), 6u) + vec2u(key.y, parity + 1u);
  v = mixed(mixed(mixed(mixed(v, 17u), 29u), 16u), 24u) + vec2u(parity, key.x + 2u);
  v = mixed(mixed(mixed(mixed(v, 13u), 15u), 26u), 6u) + vec2u(key.x, key.y + 3u);
  return mixed(v, 17u);
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let i = (wid.x + wid.y * nwg.x) * WG + lid;
  if (i >= (p.t1 - p.start) * p.B * p.H) { return; }
  let C = p.H * D;
  let h = i % p.H;
  let row = i / p.H;
  let b = row % p.B;
  let t = p.start + row / p.B;

  var q: array<f32, D>;
  var g: array<f32, D>; // dOut
  var k: array<f32, D>;
  var dq: array<f32, D>;
  var rowDelta = 0.0;
  // @unroll
  for (var d = 0u; d < D; d++) {
    q[d] = qkv[(row + p.start * p.B) * 3u * C + h * D + d] * p.scale;
    g[d] = dOut[row * C + h * D + d];
    rowDelta += g[d] * out[row * C + h * D + d];
    dq[d] = 0.0;
  }
  let rowLse = lse[i];

  for (var s = first[b]; s <= t; s++) {
    let key = (s * p.B + b) * 3u * C + C + h * D;
    var score = 0.0;
    var dw = 0.0;
    // @unroll
    for (var d = 0u; d < D; d++) {
      k[d] = qkv[key + d];
      score += q[d] * k[d];
      dw += g[d] * qkv[key + C + d];
    }
    if (DROP) {
      let word = threefry(keys[p.site * p.B + b], vec2u(t - first[b], (s - first[b]) * p.H + h)).x;
      dw = select(0.0, dw * p.grow, word >= p.bound);
    }
    let dScore = exp(score - rowLse) * (dw - rowDelta);
    // @unroll
    for (var d = 0u; d < D; d++) {
      dq[d] += dScore * k[d];
    }
  }

  // @unroll
  for (var d = 0u; d < D; d++) {
    let at = (row + (p.start - p.t0) * p.B) * 3u * C + h * D + d;
    var old = 0.0;
    if (ADD) { old = dqkv[at]; }
    dqkv[at] = old + dq[d] * p.scale;
  }
  let record = (i + (p.start + p.shift) * p.B * p.H) * (2u * D + 4u);
  // @unroll
  for (var d = 0u; d < D; d++) {
    records[record + d] = q[d];
    records[record + D + d] = g[d];
  }
  records[record + 2u * D] = rowLse;
  records[record + 2u * D + 1u] = rowDelta;
  if (DROP) { records[record + 2u * D + 2u] = f32(t); } // exact up to 2^24 columns
}
