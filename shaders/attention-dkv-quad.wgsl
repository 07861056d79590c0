// attention-dkv.wgsl with queries shared by the four lanes of a quad, as attention-forward-quad.wgsl explains:
// a lane has its own key, loads one record of a block of four queries, and after swap j holds that of record
// r0 + (l^j).
// Grid: one workgroup a (tile of WG keys, row b, head h), heads fastest. Surplus lanes repeat the last key and
// don't store.
enable subgroups;

const D = 16u; // a multiple of 4
const D4 = D / 4u;
const WG = 4u; // a multiple of 4; the adapter's subgroup size is best
const ADD = false; // dqkv is added to

struct Params {
  t0: u32,
  t1: u32,
  start: u32, // first column of the pass with a query
  B: u32,
  H: u32,
  shift: u32, // query t of the pass lies in row t + shift of records, later queries after it
  end: u32,   // rows of records (columns)
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;        // [columns*B, 3C], C = H*D; k and v are read
@group(0) @binding(1) var<storage, read> first: array<u32>;      // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> records: array<vec4f>;    // [columns*B, H, 2D+4]: q*scale, dOut, lse, delta
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4f>; // [(t1-t0)*B, 3C]; dk and dv are written
@group(0) @binding(4) var<uniform> p: Params;

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
  let tile = p.t0 + group / (p.H * p.B) * WG;
  if (tile >= p.t1) { return; }
  let lane = sid & 3u;
  let s = tile + (lid & ~3u) + lane;
  let key = (min(s, p.t1 - 1u) * p.B + b) * 3u * C4 + C4 + h * D4;

  var k: array<f32, D>;
  var v: array<f32, D>;
  var q: array<f32, D>;
  var g: array<f32, D>; // dOut
  var dk: array<f32, D>;
  var dv: array<f32, D>;
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
  // @unroll
  for (var d = 0u; d < D; d++) {
    dk[d] = 0.0;
    dv[d] = 0.0;
  }

  // The first record that sees this lane's key. A pad key is seen by none.
  let rFirst = select(p.end, max(s, p.start) + p.shift, s >= first[b]);
  for (var r0 = max(max(tile, first[b]), p.start) + p.shift; r0 < p.end; r0 += 4u) {
    let record = ((min(r0 + lane, p.end - 1u) * p.B + b) * p.H + h) * (2u * D4 + 1u);
    let lse = records[record + 2u * D4].x;
    let delta = records[record + 2u * D4].y;
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
    for (var d = 0u; d < D4; d++) {
      let four = records[record + d];
      q[4u * d] = four.x;
      q[4u * d + 1u] = four.y;
      q[4u * d + 2u] = four.z;
      q[4u * d + 3u] = four.w;
    }
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = records[record + D4 + d];
      g[4u * d] = four.x;
      g[4u * d + 1u] = four.y;
      g[4u * d + 2u] = four.z;
      g[4u * d + 3u] = four.w;
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      x0 += k[d] * q[d];
      x1 += k[d] * quadSwapX(q[d]);
      x2 += k[d] * quadSwapY(q[d]);
      x3 += k[d] * quadSwapDiagonal(q[d]);
      y0 += v[d] * g[d];
      y1 += v[d] * quadSwapX(g[d]);
      y2 += v[d] * quadSwapY(g[d]);
      y3 += v[d] * quadSwapDiagonal(g[d]);
    }
    // Weights, 0 for the queries that do not see this key, then dScore.
    let r1 = r0 + (lane ^ 1u);
    let r2 = r0 + (lane ^ 2u);
    let r3 = r0 + (lane ^ 3u);
    let w0 = select(0.0, exp(x0 - lse), r0 + lane >= rFirst && r0 + lane < p.end);
    let w1 = select(0.0, exp(x1 - quadSwapX(lse)), r1 >= rFirst && r1 < p.end);
    let w2 = select(0.0, exp(x2 - quadSwapY(lse)), r2 >= rFirst && r2 < p.end);
    let w3 = select(0.0, exp(x3 - quadSwapDiagonal(lse)), r3 >= rFirst && r3 < p.end);
    y0 = w0 * (y0 - delta);
    y1 = w1 * (y1 - quadSwapX(delta));
    y2 = w2 * (y2 - quadSwapY(delta));
    y3 = w3 * (y3 - quadSwapDiagonal(delta));
    // @unroll
    for (var d = 0u; d < D; d++) {
      dk[d] += y0 * q[d] + y1 * quadSwapX(q[d]) + y2 * quadSwapY(q[d]) + y3 * quadSwapDiagonal(q[d]);
      dv[d] += w0 * g[d] + w1 * quadSwapX(g[d]) + w2 * quadSwapY(g[d]) + w3 * quadSwapDiagonal(g[d]);
    }
  }

  if (s < p.t1) {
    let at = ((s - p.t0) * p.B + b) * 3u * C4 + C4 + h * D4;
    // dScore of queries that were not wanted is zero, and so is their dq.
    if (!ADD && s < p.start) {
      // @unroll
      for (var d = 0u; d < D4; d++) {
        dqkv[at - C4 + d] = vec4f();
      }
    }
    // @unroll
    for (var d = 0u; d < D4; d++) {
      var keyGradient = vec4f(dk[4u * d], dk[4u * d + 1u], dk[4u * d + 2u], dk[4u * d + 3u]);
      var valueGradient = vec4f(dv[4u * d], dv[4u * d + 1u], dv[4u * d + 2u], dv[4u * d + 3u]);
      if (ADD) {
        keyGradient += dqkv[at + d];
        valueGradient += dqkv[at + C4 + d];
      }
      dqkv[at + d] = keyGradient;
      dqkv[at + C4 + d] = valueGradient;
    }
  }
}
