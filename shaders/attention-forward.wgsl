// Causal attention of one pass, columns [t0, t1), against the K/V store, with online softmax:
//   score[s] = q[t,b,h,:]·k[s,b,h,:] * scale      for keys s in [first[b], t]
//   out[t,b,h,:] = sum_s exp(score[s] - lse) * v[s,b,h,:]
//   lse[t,b,h] = log sum_s exp(score[s])
// The causal limit and the left pads are the bounds of the key loop; a pad query (t < first[b]) sees no key
// and gets zeros. Every key and value is read by every query: attention-forward-quad.wgsl shares them.
// With DROP the weights of out are dropped out, those of lse are not: each is kept, and divided by 1 - rate, where the
// first word of threefry(key of the row, (position of t, position of s * H + h)) is at least rate * 2^32, positions
// being counted from first[b].
// Grid: one thread a query of a head, (t1-t0)*B*H, heads fastest.
const D = 16u;
const WG = 64u;
const DROP = false;

struct Params {
  t1: u32,
  start: u32, // first column whose query is wanted
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
  site: u32,  // the rest is for DROP
  bound: u32, // rate * 2^32
  grow: f32,  // 1 / (1 - rate)
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;       // [columns*B, 3C], columns >= t1, C = H*D
@group(0) @binding(1) var<storage, read> first: array<u32>;     // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> keys: array<vec2u>;    // [sites, B]; any, if not used
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [(t1-t0)*B, C]
@group(0) @binding(4) var<storage, read_write> lse: array<f32>; // [(t1-t0)*B, H]
@group(0) @binding(5) var<uniform> p: Params;

// Below every score, far from overflow: the maximum before the first key.
const LOWEST = -1e30;

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
  var o: array<f32, D>;
  // @unroll
  for (var d = 0u; d < D; d++) {
    q[d] = qkv[(row + p.start * p.B) * 3u * C + h * D + d] * p.scale;
    o[d] = 0.0;
  }

  // o and sum are relative to exp(top), the largest score so far: a larger one shrinks them.
  var top = LOWEST;
  var sum = 0.0;
  for (var s = first[b]; s <= t; s++) {
    let key = (s * p.B + b) * 3u * C + C + h * D;
    var score = 0.0;
    // @unroll
    for (var d = 0u; d < D; d++) {
      score += q[d] * qkv[key + d];
    }
    let newTop = max(top, score);
    let shrink = exp(top - newTop);
    let w = exp(score - newTop);
    top = newTop;
    sum = sum * shrink + w;
    var kept = w;
    if (DROP) {
      let word = threefry(keys[p.site * p.B + b], vec2u(t - first[b], (s - first[b]) * p.H + h)).x;
      kept = select(0.0, w * p.grow, word >= p.bound);
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      o[d] = o[d] * shrink + kept * qkv[key + C + d];
    }
  }

  let visible = t >= first[b];
  let scaleOut = select(0.0, 1.0 / sum, visible);
  // @unroll
  for (var d = 0u; d < D; d++) {
    out[row * C + h * D + d] = o[d] * scaleOut;
  }
  lse[i] = select(0.0, top + log(sum), visible);
}
