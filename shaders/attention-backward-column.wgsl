// attention-dq.wgsl and attention-dkv.wgsl at once, for a pass of one column t: its query's thread is its key's too,
// so what a record would hand on stays in registers. The record is left for earlier columns all the same.
// Grid: one thread a head of a row, B*H, heads fastest.
const D = 16u; // a multiple of 4: everything is loaded and stored by fours
const D4 = D / 4u;
const WG = 64u;
const ADD = false; // dqkv is added to

struct Params {
  t: u32,
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
  shift: u32, // the query is kept in row t + shift of records, later ones after it
  end: u32,   // rows of records (columns)
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;           // [columns*B, 3C], columns > t, C = H*D
@group(0) @binding(1) var<storage, read> first: array<u32>;           // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> out: array<vec4f>;           // [B, C]
@group(0) @binding(3) var<storage, read> dOut: array<vec4f>;          // [B, C]
@group(0) @binding(4) var<storage, read> lse: array<f32>;             // [B, H]
@group(0) @binding(5) var<storage, read_write> dqkv: array<vec4f>;    // [B, 3C]
@group(0) @binding(6) var<storage, read_write> records: array<vec4f>; // [columns*B, H, 2D+4]: q*scale, dOut, lse, delta
@group(0) @binding(7) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let i = (wid.x + wid.y * nwg.x) * WG + lid;
  if (i >= p.B * p.H) { return; }
  let C4 = p.H * D4;
  let h = i % p.H;
  let b = i / p.H;

  var q: array<f32, D>;
  var g: array<f32, D>; // dOut
  var k: array<f32, D>;
  var v: array<f32, D>;
  var dq: array<f32, D>;
  var dk: array<f32, D>;
  var dv: array<f32, D>;
  let query = (p.t * p.B + b) * 3u * C4 + h * D4;
  let record = (i + (p.t + p.shift) * p.B * p.H) * (2u * D4 + 1u);
  var delta = 0.0;
  // @unroll
  for (var d = 0u; d < D4; d++) {
    let four = qkv[query + d] * p.scale;
    q[4u * d] = four.x;
    q[4u * d + 1u] = four.y;
    q[4u * d + 2u] = four.z;
    q[4u * d + 3u] = four.w;
    records[record + d] = four;
  }
  // @unroll
  for (var d = 0u; d < D4; d++) {
    let four = dOut[i * D4 + d];
    g[4u * d] = four.x;
    g[4u * d + 1u] = four.y;
    g[4u * d + 2u] = four.z;
    g[4u * d + 3u] = four.w;
    delta += dot(four, out[i * D4 + d]);
    records[record + D4 + d] = four;
  }
  let ownLse = lse[i];
  records[record + 2u * D4] = vec4f(ownLse, delta, 0.0, 0.0);
  // @unroll
  for (var d = 0u; d < D; d++) {
    k[d] = 0.0;
    v[d] = 0.0;
    dq[d] = 0.0;
  }

  // The query's gradient. The last key is the column's own, whose weight and dScore its own gradient begins with; a
  // pad sees no key, and no query sees it.
  var w = 0.0;
  var dScore = 0.0;
  for (var s = first[b]; s <= p.t; s++) {
    let key = (s * p.B + b) * 3u * C4 + C4 + h * D4;
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[key + d];
      k[4u * d] = four.x;
      k[4u * d + 1u] = four.y;
      k[4u * d + 2u] = four.z;
      k[4u * d + 3u] = four.w;
    }
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[key + C4 + d];
      v[4u * d] = four.x;
      v[4u * d + 1u] = four.y;
      v[4u * d + 2u] = four.z;
      v[4u * d + 3u] = four.w;
    }
    var score = 0.0;
    var dw = -delta;
    // @unroll
    for (var d = 0u; d < D; d++) {
      score += q[d] * k[d];
      dw += g[d] * v[d];
    }
    w = exp(score - ownLse);
    dScore = w * dw;
    // @unroll
    for (var d = 0u; d < D; d++) {
      dq[d] += dScore * k[d];
    }
  }

  // The gradients of its key and value, from its own query and from those of later columns.
  // @unroll
  for (var d = 0u; d < D; d++) {
    dk[d] = dScore * q[d];
    dv[d] = w * g[d];
  }
  for (var r = select(p.end, p.t + 1u + p.shift, p.t >= first[b]); r < p.end; r++) {
    let later = ((r * p.B + b) * p.H + h) * (2u * D4 + 1u);
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = records[later + d];
      q[4u * d] = four.x;
      q[4u * d + 1u] = four.y;
      q[4u * d + 2u] = four.z;
      q[4u * d + 3u] = four.w;
    }
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = records[later + D4 + d];
      g[4u * d] = four.x;
      g[4u * d + 1u] = four.y;
      g[4u * d + 2u] = four.z;
      g[4u * d + 3u] = four.w;
    }
    let statistics = records[later + 2u * D4];
    var score = 0.0;
    var dw = -statistics.y;
    // @unroll
    for (var d = 0u; d < D; d++) {
      score += q[d] * k[d];
      dw += g[d] * v[d];
    }
    w = exp(score - statistics.x);
    dScore = w * dw;
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += dScore * q[d];
      dv[d] += w * g[d];
    }
  }

  let at = b * 3u * C4 + h * D4;
  // @unroll
  for (var d = 0u; d < D4; d++) {
    var queryGradient = vec4f(dq[4u * d], dq[4u * d + 1u], dq[4u * d + 2u], dq[4u * d + 3u]) * p.scale;
    var keyGradient = vec4f(dk[4u * d], dk[4u * d + 1u], dk[4u * d + 2u], dk[4u * d + 3u]);
    var valueGradient = vec4f(dv[4u * d], dv[4u * d + 1u], dv[4u * d + 2u], dv[4u * d + 3u]);
    if (ADD) {
      queryGradient += dqkv[at + d];
      keyGradient += dqkv[at + C4 + d];
      valueGradient += dqkv[at + 2u * C4 + d];
    }
    dqkv[at + d] = queryGradient;
    dqkv[at + C4 + d] = keyGradient;
    dqkv[at + 2u * C4 + d] = valueGradient;
  }
}
