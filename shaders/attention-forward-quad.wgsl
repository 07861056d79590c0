// attention-forward.wgsl with keys and values shared by the four lanes of a quad: each lane has its own query,
// loads one key and value of a block of four, and the quad swaps hand them round. A quarter of the loads, which
// on a CPU-run adapter are most of the cost (~65 instructions each, a multiply-add 3.5).
//   XOR form: after swap j (none, X, Y, diagonal) lane l holds what lane l^j loaded, key s0 + (l^j).
// With Q queries a lane what it holds meets each of them, and the loads are a Qth of that again; but the text, and
// with it the compile time, is Q times as long.
// Grid: one workgroup a (tile of WG·Q queries, row b, head h), heads fastest. A quad's queries are of one (b, h), a
// lane's WG columns apart, so loop bounds are workgroup-uniform; surplus queries repeat the last row and aren't stored.
enable subgroups;

const D = 16u; // a multiple of 4: everything is loaded and stored by fours
const D4 = D / 4u;
const WG = 4u; // a multiple of 4; the adapter's subgroup size is best
const Q = 1u; // queries a lane

struct Params {
  t1: u32,
  start: u32, // first column whose query is wanted
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;       // [columns*B, 3C], columns >= t1, C = H*D
@group(0) @binding(1) var<storage, read> first: array<u32>;     // [B] first visible column of each row
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>; // [(t1-t0)*B, C]
@group(0) @binding(3) var<storage, read_write> lse: array<f32>; // [(t1-t0)*B, H]
@group(0) @binding(4) var<uniform> p: Params;

// Below every score, far from overflow: the maximum before the first key, and the score of a hidden key.
// A query that sees any key sees the first of its first block, so hidden keys then weigh exp(LOWEST) = 0;
// a pad query sums rubbish, which is finite and is dropped at the store.
const LOWEST = -1e30;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) sid: u32,
) {
  let group = wid.x + wid.y * nwg.x;
  let C4 = p.H * D4;
  let h = group % p.H;
  let b = group / p.H % p.B;
  let tile = p.start + group / (p.H * p.B) * (WG * Q);
  if (tile >= p.t1) { return; }
  let lane = sid & 3u;
  let tLast = min(tile + WG * Q, p.t1) - 1u;
  let t = tile + (lid & ~3u) + lane; // the lane's first query

  var q: array<f32, Q * D>;
  var o: array<f32, Q * D>;
  var held: array<f32, D>; // a key, then a value
  var x: array<f32, 4u * Q>;
  var top: array<f32, Q>;
  var sum: array<f32, Q>;
  var shrink: array<f32, Q>;
  // @unroll
  for (var i = 0u; i < Q; i++) {
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[(min(t + i * WG, tLast) * p.B + b) * 3u * C4 + h * D4 + d] * p.scale;
      q[i * D + 4u * d] = four.x;
      q[i * D + 4u * d + 1u] = four.y;
      q[i * D + 4u * d + 2u] = four.z;
      q[i * D + 4u * d + 3u] = four.w;
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      o[i * D + d] = 0.0;
    }
    top[i] = LOWEST;
    sum[i] = 0.0;
  }

  for (var s0 = first[b]; s0 <= tLast; s0 += 4u) {
    let key = (min(s0 + lane, tLast) * p.B + b) * 3u * C4 + C4 + h * D4;
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[key + d];
      held[4u * d] = four.x;
      held[4u * d + 1u] = four.y;
      held[4u * d + 2u] = four.z;
      held[4u * d + 3u] = four.w;
    }
    // @unroll
    for (var i = 0u; i < 4u * Q; i++) {
      x[i] = 0.0;
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      // @unroll
      for (var i = 0u; i < Q; i++) {
        x[4u * i] += q[i * D + d] * held[d];
        x[4u * i + 1u] += q[i * D + d] * quadSwapX(held[d]);
        x[4u * i + 2u] += q[i * D + d] * quadSwapY(held[d]);
        x[4u * i + 3u] += q[i * D + d] * quadSwapDiagonal(held[d]);
      }
    }
    // @unroll
    for (var i = 0u; i < Q; i++) {
      x[4u * i] = select(LOWEST, x[4u * i], s0 + lane <= t + i * WG);
      x[4u * i + 1u] = select(LOWEST, x[4u * i + 1u], s0 + (lane ^ 1u) <= t + i * WG);
      x[4u * i + 2u] = select(LOWEST, x[4u * i + 2u], s0 + (lane ^ 2u) <= t + i * WG);
      x[4u * i + 3u] = select(LOWEST, x[4u * i + 3u], s0 + (lane ^ 3u) <= t + i * WG);
      let before = top[i];
      top[i] = max(max(before, max(x[4u * i], x[4u * i + 1u])), max(x[4u * i + 2u], x[4u * i + 3u]));
      shrink[i] = exp(before - top[i]);
      x[4u * i] = exp(x[4u * i] - top[i]);
      x[4u * i + 1u] = exp(x[4u * i + 1u] - top[i]);
      x[4u * i + 2u] = exp(x[4u * i + 2u] - top[i]);
      x[4u * i + 3u] = exp(x[4u * i + 3u] - top[i]);
      sum[i] = sum[i] * shrink[i] + x[4u * i] + x[4u * i + 1u] + x[4u * i + 2u] + x[4u * i + 3u];
    }
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[key + C4 + d];
      held[4u * d] = four.x;
      held[4u * d + 1u] = four.y;
      held[4u * d + 2u] = four.z;
      held[4u * d + 3u] = four.w;
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      // @unroll
      for (var i = 0u; i < Q; i++) {
        o[i * D + d] = o[i * D + d] * shrink[i] + x[4u * i] * held[d] + x[4u * i + 1u] * quadSwapX(held[d])
          + x[4u * i + 2u] * quadSwapY(held[d]) + x[4u * i + 3u] * quadSwapDiagonal(held[d]);
      }
    }
  }

  // @unroll
  for (var i = 0u; i < Q; i++) {
    if (t + i * WG <= tLast) {
      let visible = t + i * WG >= first[b];
      let scaleOut = select(0.0, 1.0 / sum[i], visible);
      let row = (t + i * WG - p.start) * p.B + b;
      // @unroll
      for (var d = 0u; d < D4; d++) {
        let at = i * D + 4u * d;
        out[row * C4 + h * D4 + d] = vec4f(o[at], o[at + 1u], o[at + 2u], o[at + 3u]) * scaleOut;
      }
      lse[row * p.H + h] = select(0.0, top[i] + log(sum[i]), visible);
    }
  }
}
