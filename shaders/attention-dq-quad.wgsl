// attention-dq.wgsl with keys and values shared by the four lanes of a quad, as attention-forward-quad.wgsl
// explains: a lane has its own query, loads one key and value of a block of four, and after swap j holds those
// of key s0 + (l^j).
// Grid: one workgroup a (tile of WG queries, row b, head h), heads fastest.
enable subgroups;

const D = 16u; // a multiple of 4
const D4 = D / 4u;
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

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;           // [columns*B, 3C], columns >= t1, C = H*D
@group(0) @binding(1) var<storage, read> first: array<u32>;         // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> out: array<vec4f>;           // [(t1-t0)*B, C]
@group(0) @binding(3) var<storage, read> dOut: array<vec4f>;          // [(t1-t0)*B, C]
@group(0) @binding(4) var<storage, read> lse: array<f32>;           // [(t1-t0)*B, H]
@group(0) @binding(5) var<storage, read_write> dqkv: array<vec4f>;    // [(t1-t0)*B, 3C]; only dq is written
@group(0) @binding(6) var<storage, read_write> records: array<vec4f>; // [columns*B, H, 2D+4]
@group(0) @binding(7) var<uniform> p: Params;

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
  var g: array<f32, D>; // dOut
  var k: array<f32, D>;
  var v: array<f32, D>;
  var dq: array<f32, D>;
  var delta = 0.0;
  // @unroll
  for (var d = 0u; d < D4; d++) {
    let four = qkv[(row + p.start * p.B) * 3u * C4 + h * D4 + d];
    q[4u * d] = four.x * p.scale;
    q[4u * d + 1u] = four.y * p.scale;
    q[4u * d + 2u] = four.z * p.scale;
    q[4u * d + 3u] = four.w * p.scale;
  }
  // @unroll
  for (var d = 0u; d < D4; d++) {
    let four = dOut[row * C4 + h * D4 + d];
    g[4u * d] = four.x;
    g[4u * d + 1u] = four.y;
    g[4u * d + 2u] = four.z;
    g[4u * d + 3u] = four.w;
    delta += dot(four, out[row * C4 + h * D4 + d]);
  }
  // @unroll
  for (var d = 0u; d < D; d++) {
    dq[d] = 0.0;
  }
  let rowLse = lse[row * p.H + h];

  for (var s0 = first[b]; s0 <= tLast; s0 += 4u) {
    let key = (min(s0 + lane, tLast) * p.B + b) * 3u * C4 + C4 + h * D4;
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
      x0 += q[d] * k[d];
      x1 += q[d] * quadSwapX(k[d]);
      x2 += q[d] * quadSwapY(k[d]);
      x3 += q[d] * quadSwapDiagonal(k[d]);
      y0 += g[d] * v[d];
      y1 += g[d] * quadSwapX(v[d]);
      y2 += g[d] * quadSwapY(v[d]);
      y3 += g[d] * quadSwapDiagonal(v[d]);
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
    let record = (((t + p.shift) * p.B + b) * p.H + h) * (2u * D4 + 1u);
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let at = (row + (p.start - p.t0) * p.B) * 3u * C4 + h * D4 + d;
      var value = vec4f(dq[4u * d], dq[4u * d + 1u], dq[4u * d + 2u], dq[4u * d + 3u]) * p.scale;
      if (ADD) { value += dqkv[at]; }
      dqkv[at] = value;
      records[record + d] = vec4f(q[4u * d], q[4u * d + 1u], q[4u * d + 2u], q[4u * d + 3u]);
      records[record + D4 + d] = vec4f(g[4u * d], g[4u * d + 1u], g[4u * d + 2u], g[4u * d + 3u]);
    }
    records[record + 2u * D4] = vec4f(rowLse, delta, 0.0, 0.0);
  }
}
