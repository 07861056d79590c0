// attention-dq.wgsl with keys and values shared by the four lanes of a quad, as attention-forward-quad.wgsl
// explains: a lane has its own query, loads one key and value of a block of four, and after swap j holds those
// of key s0 + (l^j).
// Grid: one workgroup a (tile of WG queries, row b, head h), heads fastest.
enable subgroups;

const D = 16u;
const WG = 4u; // a multiple of 4; the adapter's subgroup size is best
const ADD = false; // dqkv is added to

struct Params {
  t0: u32,
  t1: u32,
  start: u32, // first column whose query is wanted
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
  shift: u32, // query t is kept in row t + shift of records
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;           // [(t1-t0)*B, 3C], C = H*D; only q is read
@group(0) @binding(1) var<storage, read> kv: array<f32>;            // [columns*B, 2C], columns >= t1
@group(0) @binding(2) var<storage, read> first: array<u32>;         // [B] first visible column of each row
@group(0) @binding(3) var<storage, read> out: array<f32>;           // [(t1-t0)*B, C]
@group(0) @binding(4) var<storage, read> dOut: array<f32>;          // [(t1-t0)*B, C]
@group(0) @binding(5) var<storage, read> lse: array<f32>;           // [(t1-t0)*B, H]
@group(0) @binding(6) var<storage, read_write> dqkv: array<f32>;    // [(t1-t0)*B, 3C]; only dq is written
@group(0) @binding(7) var<storage, read_write> records: array<f32>; // [columns*B, H, 2D+2]
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
  let tile = p.start + group / (p.H * p.B) * WG;
  if (tile >= p.t1) { return; }
  let lane = sid & 3u;
  let t = tile + (lid & ~3u) + lane;
  let tLast = min(tile + WG, p.t1) - 1u;
  let row = (min(t, tLast) - p.start) * p.B + b;
  let qkvRow = row + (p.start - p.t0) * p.B;

  var q: array<f32, D>;
  var g: array<f32, D>; // dOut
  var k: array<f32, D>;
  var dq: array<f32, D>;
  var delta = 0.0;
  // @unroll
  for (var d = 0u; d < D; d++) {
    q[d] = qkv[qkvRow * 3u * C + h * D + d] * p.scale;
    g[d] = dOut[row * C + h * D + d];
    delta += g[d] * out[row * C + h * D + d];
    dq[d] = 0.0;
  }
  let rowLse = lse[row * p.H + h];

  for (var s0 = first[b]; s0 <= tLast; s0 += 4u) {
    let key = (min(s0 + lane, tLast) * p.B + b) * 2u * C + h * D;
    var x0 = 0.0;
    var x1 = 0.0;
    var x2 = 0.0;
    var x3 = 0.0;
    // dOut·v - delta
    var y0 = -delta;
    var y1 = -delta;
    var y2 = -delta;
    var y3 = -delta;
    // @unroll
    for (var d = 0u; d < D; d++) {
      k[d] = kv[key + d];
      x0 += q[d] * k[d];
      x1 += q[d] * quadSwapX(k[d]);
      x2 += q[d] * quadSwapY(k[d]);
      x3 += q[d] * quadSwapDiagonal(k[d]);
      let v = kv[key + C + d];
      y0 += g[d] * v;
      y1 += g[d] * quadSwapX(v);
      y2 += g[d] * quadSwapY(v);
      y3 += g[d] * quadSwapDiagonal(v);
    }
    // dScore, 0 for the keys that this query does not see
    y0 = select(0.0, y0 * exp(x0 - rowLse), s0 + lane <= t);
    y1 = select(0.0, y1 * exp(x1 - rowLse), s0 + (lane ^ 1u) <= t);
    y2 = select(0.0, y2 * exp(x2 - rowLse), s0 + (lane ^ 2u) <= t);
    y3 = select(0.0, y3 * exp(x3 - rowLse), s0 + (lane ^ 3u) <= t);
    // @unroll
    for (var d = 0u; d < D; d++) {
      dq[d] += y0 * k[d] + y1 * quadSwapX(k[d]) + y2 * quadSwapY(k[d]) + y3 * quadSwapDiagonal(k[d]);
    }
  }

  if (t <= tLast) {
    let record = (((t + p.shift) * p.B + b) * p.H + h) * (2u * D + 2u);
    // @unroll
    for (var d = 0u; d < D; d++) {
      let at = qkvRow * 3u * C + h * D + d;
      var old = 0.0;
      if (ADD) { old = dqkv[at]; }
      dqkv[at] = old + dq[d] * p.scale;
      records[record + d] = q[d];
      records[record + D + d] = g[d];
    }
    records[record + 2u * D] = rowLse;
    records[record + 2u * D + 1u] = delta;
  }
}
