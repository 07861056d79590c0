// attention_dkv.wgsl with queries shared by the four lanes of a quad, as attention_forward_quad.wgsl explains:
// a lane has its own key, loads one query and its dOut of a block of four, and after swap j holds those of
// query r0 + (l^j).
// Grid: one workgroup a (tile of WG keys, row b, head h), heads fastest. Surplus lanes repeat the last key and
// don't store.
enable subgroups;

const D = 16u;
const WG = 4u; // a multiple of 4; the adapter's subgroup size is best

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
  @builtin(subgroup_invocation_id) sid: u32,
) {
  let group = wid.x + wid.y * nwg.x;
  let C = p.H * D;
  let h = group % p.H;
  let b = group / p.H % p.B;
  let tile = group / (p.H * p.B) * WG;
  if (tile >= p.t1) { return; }
  let lane = sid & 3u;
  let s = tile + (lid & ~3u) + lane;
  let key = (min(s, p.t1 - 1u) * p.B + b) * 2u * C + h * D;

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

  // The first query that sees this lane's key. A pad key is seen by none.
  let tFirst = select(p.t1, s, s >= first[b]);
  for (var r0 = max(max(tile, p.t0), first[b]); r0 < p.t1; r0 += 4u) {
    let row = (min(r0 + lane, p.t1 - 1u) - p.t0) * p.B + b;
    let rowLse = lse[row * p.H + h];
    let rowDelta = delta[row * p.H + h];
    var x0 = 0.0;
    var x1 = 0.0;
    var x2 = 0.0;
    var x3 = 0.0;
    // dOut·v
    var y0 = 0.0;
    var y1 = 0.0;
    var y2 = 0.0;
    var y3 = 0.0;
    // @unroll
    for (var d = 0u; d < D; d++) {
      q[d] = qkv[row * 3u * C + h * D + d] * p.scale;
      x0 += k[d] * q[d];
      x1 += k[d] * quadSwapX(q[d]);
      x2 += k[d] * quadSwapY(q[d]);
      x3 += k[d] * quadSwapDiagonal(q[d]);
      g[d] = dOut[row * C + h * D + d];
      y0 += v[d] * g[d];
      y1 += v[d] * quadSwapX(g[d]);
      y2 += v[d] * quadSwapY(g[d]);
      y3 += v[d] * quadSwapDiagonal(g[d]);
    }
    // Weights, 0 for the queries that do not see this key, then dScore.
    let t1 = r0 + (lane ^ 1u);
    let t2 = r0 + (lane ^ 2u);
    let t3 = r0 + (lane ^ 3u);
    let w0 = select(0.0, exp(x0 - rowLse), r0 + lane >= tFirst && r0 + lane < p.t1);
    let w1 = select(0.0, exp(x1 - quadSwapX(rowLse)), t1 >= tFirst && t1 < p.t1);
    let w2 = select(0.0, exp(x2 - quadSwapY(rowLse)), t2 >= tFirst && t2 < p.t1);
    let w3 = select(0.0, exp(x3 - quadSwapDiagonal(rowLse)), t3 >= tFirst && t3 < p.t1);
    y0 = w0 * (y0 - rowDelta);
    y1 = w1 * (y1 - quadSwapX(rowDelta));
    y2 = w2 * (y2 - quadSwapY(rowDelta));
    y3 = w3 * (y3 - quadSwapDiagonal(rowDelta));
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += y0 * q[d] + y1 * quadSwapX(q[d]) + y2 * quadSwapY(q[d]) + y3 * quadSwapDiagonal(q[d]);
      dv[d] += w0 * g[d] + w1 * quadSwapX(g[d]) + w2 * quadSwapY(g[d]) + w3 * quadSwapDiagonal(g[d]);
    }
  }

  if (s < p.t1) {
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
}
