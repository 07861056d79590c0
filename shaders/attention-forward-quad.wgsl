// attention-forward.wgsl with keys and values shared by the four lanes of a quad: each lane has its own query,
// loads one key and value of a block of four, and the quad swaps hand them round. A quarter of the loads, which
// on a CPU-run adapter are most of the cost (~65 instructions each, a multiply-add 3.5).
//   XOR form: after swap j (none, X, Y, diagonal) lane l holds what lane l^j loaded, key s0 + (l^j).
// Two queries a lane halve the loads again, for a tenth to a sixth of the time and twice the compile time: not worth
// the text.
// Grid: one workgroup a (tile of WG queries, row b, head h), heads fastest. A quad's queries are consecutive
// columns of one (b, h), so loop bounds are workgroup-uniform; surplus lanes repeat the last row and don't store.
enable subgroups;

const D = 16u; // a multiple of 4: everything is loaded and stored by fours
const D4 = D / 4u;
const WG = 4u; // a multiple of 4; the adapter's subgroup size is best

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
  let tile = p.start + group / (p.H * p.B) * WG;
  if (tile >= p.t1) { return; }
  let lane = sid & 3u;
  let t = tile + (lid & ~3u) + lane;
  let tLast = min(tile + WG, p.t1) - 1u;
  let row = (min(t, tLast) - p.start) * p.B + b;

  var q: array<f32, D>;
  var o: array<f32, D>;
  var held: array<f32, D>; // a key, then a value
  // @unroll
  for (var d = 0u; d < D4; d++) {
    let four = qkv[(row + p.start * p.B) * 3u * C4 + h * D4 + d];
    q[4u * d] = four.x * p.scale;
    q[4u * d + 1u] = four.y * p.scale;
    q[4u * d + 2u] = four.z * p.scale;
    q[4u * d + 3u] = four.w * p.scale;
  }
  // @unroll
  for (var d = 0u; d < D; d++) {
    o[d] = 0.0;
  }

  var top = LOWEST;
  var sum = 0.0;
  for (var s0 = first[b]; s0 <= tLast; s0 += 4u) {
    let key = (min(s0 + lane, tLast) * p.B + b) * 3u * C4 + C4 + h * D4;
    var x0 = 0.0;
    var x1 = 0.0;
    var x2 = 0.0;
    var x3 = 0.0;
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[key + d];
      held[4u * d] = four.x;
      held[4u * d + 1u] = four.y;
      held[4u * d + 2u] = four.z;
      held[4u * d + 3u] = four.w;
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      let k = held[d];
      x0 += q[d] * k;
      x1 += q[d] * quadSwapX(k);
      x2 += q[d] * quadSwapY(k);
      x3 += q[d] * quadSwapDiagonal(k);
    }
    x0 = select(LOWEST, x0, s0 + lane <= t);
    x1 = select(LOWEST, x1, s0 + (lane ^ 1u) <= t);
    x2 = select(LOWEST, x2, s0 + (lane ^ 2u) <= t);
    x3 = select(LOWEST, x3, s0 + (lane ^ 3u) <= t);
    let newTop = max(max(top, max(x0, x1)), max(x2, x3));
    let shrink = exp(top - newTop);
    let w0 = exp(x0 - newTop);
    let w1 = exp(x1 - newTop);
    let w2 = exp(x2 - newTop);
    let w3 = exp(x3 - newTop);
    top = newTop;
    sum = sum * shrink + w0 + w1 + w2 + w3;
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
      let v = held[d];
      o[d] = o[d] * shrink + w0 * v + w1 * quadSwapX(v) + w2 * quadSwapY(v) + w3 * quadSwapDiagonal(v);
    }
  }

  if (t <= tLast) {
    let visible = t >= first[b];
    let scaleOut = select(0.0, 1.0 / sum, visible);
    // @unroll
    for (var d = 0u; d < D4; d++) {
      out[row * C4 + h * D4 + d] = vec4f(o[4u * d], o[4u * d + 1u], o[4u * d + 2u], o[4u * d + 3u]) * scaleOut;
    }
    lse[row * p.H + h] = select(0.0, top + log(sum), visible);
  }
}
