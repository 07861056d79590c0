// Gradients of the keys and values of one pass, columns [t0, t1), from every recorded query that saw them: those
// of the pass itself and of all later passes, whose records attention-dq.wgsl left behind.
//   w[t,s] = exp(q[t]·k[s] * scale - lse[t]),  dScore[t,s] = w[t,s] * (dOut[t]·v[s] - delta[t])
//   dk[s,:] = sum_t dScore[t,s] * q[t,:] * scale
//   dv[s,:] = sum_t w[t,s] * dOut[t,:]                     for queries t >= s, keys s >= first[b]
// Records end with the last column: the pass's own query t lies in row t + shift, later queries in the rows
// after them, so a key's queries are the rows from s + shift on. A thread owns its key: no atomics, fixed order.
// With DROP, as in attention-dq.wgsl: dScore[t,s] = w[t,s] * (kept[t,s] * dOut[t]·v[s] - delta[t]), and
//   dv[s,:] = sum_t kept[t,s] * w[t,s] * dOut[t,:]         whose record has t after delta
// Grid: one thread a key of a head, (t1-t0)*B*H, heads fastest.
const D = 16u;
const WG = 64u;
const ADD = false; // dqkv is added to
const DROP = false;

struct Params {
  t0: u32,
  t1: u32,
  start: u32, // first column of the pass with a query
  B: u32,
  H: u32,
  shift: u32,
  end: u32,   // rows of records (columns)
  site: u32,  // the rest is for DROP
  bound: u32, // rate * 2^32
  grow: f32,  // 1 / (1 - rate)
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;        // [columns*B, 3C], C = H*D; k and v are read
@group(0) @binding(1) var<storage, read> first: array<u32>;      // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> records: array<f32>;    // [columns*B, H, 2D+4]: q*scale, dOut, lse, delta
@group(0) @binding(3) var<storage, read> keys: array<vec2u>;     // [sites, B]; any, if not used
@group(0) @binding(4) var<storage, read_write> dqkv: array<f32>; // [(t1-t0)*B, 3C]; dk and dv are written
@group(0) @binding(5) var<uniform> p: Params;

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
    var kept = w;
    if (DROP) {
      let t = u32(records[record + 2u * D + 2u]);
      let word = threefry(keys[p.site * p.B + b], vec2u(t - first[b], (s - first[b]) * p.H + h)).x;
      kept = select(0.0, w * p.grow, word >= p.bound);
      dw = select(0.0, dw * p.grow, word >= p.bound);
    }
    let dScore = w * (dw - records[record + 2u * D + 1u]);
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += dScore * q[d];
      dv[d] += kept * g[d];
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
