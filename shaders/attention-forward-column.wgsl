// attention-forward.wgsl for one query a head, that of column t: a latent column, or a token that is generated. Loads
// are by fours; there are no other queries to share them with.
// Grid: one thread a head of a row, B*H, heads fastest.
const D = 16u; // a multiple of 4
const D4 = D / 4u;
const WG = 64u;

struct Params {
  t: u32,
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;       // [columns*B, 3C], columns > t, C = H*D
@group(0) @binding(1) var<storage, read> first: array<u32>;       // [B] first visible column of each row
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>; // [B, C]
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;   // [B, H]
@group(0) @binding(4) var<uniform> p: Params;

// Below every score, far from overflow: the maximum before the first key.
const LOWEST = -1e30;

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
  var o: array<f32, D>;
  let query = (p.t * p.B + b) * 3u * C4 + h * D4;
  // @unroll
  for (var d = 0u; d < D4; d++) {
    let four = qkv[query + d] * p.scale;
    q[4u * d] = four.x;
    q[4u * d + 1u] = four.y;
    q[4u * d + 2u] = four.z;
    q[4u * d + 3u] = four.w;
  }
  // @unroll
  for (var d = 0u; d < D; d++) {
    o[d] = 0.0;
  }

  var top = LOWEST;
  var sum = 0.0;
  for (var s = first[b]; s <= p.t; s++) {
    let key = (s * p.B + b) * 3u * C4 + C4 + h * D4;
    var score = 0.0;
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[key + d];
      score += q[4u * d] * four.x + q[4u * d + 1u] * four.y + q[4u * d + 2u] * four.z + q[4u * d + 3u] * four.w;
    }
    let newTop = max(top, score);
    let shrink = exp(top - newTop);
    let w = exp(score - newTop);
    top = newTop;
    sum = sum * shrink + w;
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[key + C4 + d];
      o[4u * d] = o[4u * d] * shrink + w * four.x;
      o[4u * d + 1u] = o[4u * d + 1u] * shrink + w * four.y;
      o[4u * d + 2u] = o[4u * d + 2u] * shrink + w * four.z;
      o[4u * d + 3u] = o[4u * d + 3u] * shrink + w * four.w;
    }
  }

  let visible = p.t >= first[b];
  let scaleOut = select(0.0, 1.0 / sum, visible);
  // @unroll
  for (var d = 0u; d < D4; d++) {
    out[i * D4 + d] = vec4f(o[4u * d], o[4u * d + 1u], o[4u * d + 2u], o[4u * d + 3u]) * scaleOut;
  }
  lse[i] = select(0.0, top + log(sum), visible);
}
