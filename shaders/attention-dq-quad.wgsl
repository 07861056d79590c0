// attention-dq.wgsl with keys and values shared by the four lanes of a quad, as attention-forward-quad.wgsl
// explains: a lane has its own Q queries, loads one key and value of a block of four, and after swap j holds those
// of key s0 + (l^j).
// Grid: one workgroup a (tile of WG·Q queries, row b, head h), heads fastest.
enable subgroups;

const D = 16u; // a multiple of 4
const D4 = D / 4u;
const WG = 4u; // a multiple of 4; the adapter's subgroup size is best
const Q = 1u; // queries a lane
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
  let tile = p.start + group / (p.H * p.B) * (WG * Q);
  if (tile >= p.t1) { return; }
  let lane = sid & 3u;
  let t = tile + (lid & ~3u) + lane; // the lane's first query
  let tLast = min(tile + WG * Q, p.t1) - 1u;

  var q: array<f32, Q * D>;
  var g: array<f32, Q * D>; // dOut
  var dq: array<f32, Q * D>;
  var k: array<f32, D>;
  var v: array<f32, D>;
  var rowLse: array<f32, Q>;
  var delta: array<f32, Q>;
  var x: array<f32, 4u * Q>; // scores
  var y: array<f32, 4u * Q>; // dOut·v - delta, then dScore
  // @unroll
  for (var i = 0u; i < Q; i++) {
    let row = (min(t + i * WG, tLast) - p.start) * p.B + b;
    delta[i] = 0.0;
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = qkv[(row + p.start * p.B) * 3u * C4 + h * D4 + d];
      q[i * D + 4u * d] = four.x * p.scale;
      q[i * D + 4u * d + 1u] = four.y * p.scale;
      q[i * D + 4u * d + 2u] = four.z * p.scale;
      q[i * D + 4u * d + 3u] = four.w * p.scale;
    }
    // @unroll
    for (var d = 0u; d < D4; d++) {
      let four = dOut[row * C4 + h * D4 + d];
      g[i * D + 4u * d] = four.x;
      g[i * D + 4u * d + 1u] = four.y;
      g[i * D + 4u * d + 2u] = four.z;
      g[i * D + 4u * d + 3u] = four.w;
      delta[i] += dot(four, out[row * C4 + h * D4 + d]);
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      dq[i * D + d] = 0.0;
    }
    rowLse[i] = lse[row * p.H + h];
  }

  for (var s0 = first[b]; s0 <= tLast; s0 += 4u) {
    let key = (min(s0 + lane, tLast) * p.B + b) * 3u * C4 + C4 + h * D4;
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
    for (var i = 0u; i < Q; i++) {
      // @unroll
      for (var j = 0u; j < 4u; j++) {
        x[4u * i + j] = 0.0;
        y[4u * i + j] = -delta[i];
      }
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      // @unroll
      for (var i = 0u; i < Q; i++) {
        x[4u * i] += q[i * D + d] * k[d];
        x[4u * i + 1u] += q[i * D + d] * quadSwapX(k[d]);
        x[4u * i + 2u] += q[i * D + d] * quadSwapY(k[d]);
        x[4u * i + 3u] += q[i * D + d] * quadSwapDiagonal(k[d]);
        y[4u * i] += g[i * D + d] * v[d];
        y[4u * i + 1u] += g[i * D + d] * quadSwapX(v[d]);
        y[4u * i + 2u] += g[i * D + d] * quadSwapY(v[d]);
        y[4u * i + 3u] += g[i * D + d] * quadSwapDiagonal(v[d]);
      }
    }
    // dScore, 0 for the keys that a query does not see
    // @unroll
    for (var i = 0u; i < Q; i++) {
      // @unroll
      for (var j = 0u; j < 4u; j++) {
        let dScore = y[4u * i + j] * exp(x[4u * i + j] - rowLse[i]);
        y[4u * i + j] = select(0.0, dScore, s0 + (lane ^ j) <= t + i * WG);
      }
    }
    // @unroll
    for (var d = 0u; d < D; d++) {
      // @unroll
      for (var i = 0u; i < Q; i++) {
        dq[i * D + d] += y[4u * i] * k[d] + y[4u * i + 1u] * quadSwapX(k[d])
          + y[4u * i + 2u] * quadSwapY(k[d]) + y[4u * i + 3u] * quadSwapDiagonal(k[d]);
      }
    }
  }

  // @unroll
  for (var i = 0u; i < Q; i++) {
    if (t + i * WG <= tLast) {
      let row = (t + i * WG - p.t0) * p.B + b;
      let record = (((t + i * WG + p.shift) * p.B + b) * p.H + h) * (2u * D4 + 1u);
      // @unroll
      for (var d = 0u; d < D4; d++) {
        let at = row * 3u * C4 + h * D4 + d;
        let own = i * D + 4u * d;
        var value = vec4f(dq[own], dq[own + 1u], dq[own + 2u], dq[own + 3u]) * p.scale;
        if (ADD) { value += dqkv[at]; }
        dqkv[at] = value;
        records[record + d] = vec4f(q[own], q[own + 1u], q[own + 2u], q[own + 3u]);
        records[record + D4 + d] = vec4f(g[own], g[own + 1u], g[own + 2u], g[own + 3u]);
      }
      records[record + 2u * D4] = vec4f(rowLse[i], delta[i], 0.0, 0.0);
    }
  }
}
