// All gradients of a pass that begins with the first column, in one kernel: what attention-dq-quad.wgsl and
// attention-dkv-quad.wgsl compute, from scores and weights that are computed once. Five products of width D a query
// and key instead of seven, and half the exponentials.
// A quad has one head of one row to itself. It walks over the keys, Q a lane, and for each block of keys over the
// queries, four of which are shared as attention-forward-quad.wgsl explains. Lane l adds to dq of every fourth query,
// the same ones for all keys, and nobody else does: the order is fixed, and nobody waits.
// There are B·H such quads, too few for a GPU and enough for a CPU.
// Grid: one workgroup a (row b, WG/4 heads), heads fastest. Surplus heads repeat the last one and aren't stored.
enable subgroups;

const D = 16u; // a multiple of 4
const D4 = D / 4u;
const WG = 4u; // a multiple of 4; the adapter's subgroup size is best
const Q = 1u; // keys a lane
const ADD = false; // dqkv is added to

struct Params {
  t1: u32,
  start: u32, // first column with a query
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
  shift: u32, // query t of the pass lies in row t + shift of records, later queries after it
  own: u32,   // where the pass's own records end
  end: u32,   // where those of later passes do
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;        // [columns*B, 3C], C = H*D; k and v are read
@group(0) @binding(1) var<storage, read> first: array<u32>;        // [B] first visible column of each row
@group(0) @binding(2) var<storage, read> records: array<vec4f>;    // [columns*B, H, 2D+4]: q*scale, dOut, lse, delta
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4f>; // [t1*B, 3C]; dq is added to, dk and dv written
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) sid: u32,
) {
  let group = wid.x + wid.y * nwg.x;
  let parts = (p.H + WG / 4u - 1u) / (WG / 4u);
  let b = group / parts;
  if (b >= p.B) { return; }
  let C4 = p.H * D4;
  let head = group % parts * (WG / 4u) + lid / 4u;
  let h = min(head, p.H - 1u);
  let lane = sid & 3u;

  var k: array<f32, Q * D>;
  var v: array<f32, Q * D>;
  var dk: array<f32, Q * D>;
  var dv: array<f32, Q * D>;
  var q: array<f32, D>;
  var g: array<f32, D>; // dOut
  var dq: array<f32, D>;
  var part: array<f32, 4>; // of dq, for the queries of the four lanes
  var rFirst: array<u32, Q>; // the first record that sees this key; a pad key is seen by none
  var x: array<f32, 4u * Q>; // scores
  var y: array<f32, 4u * Q>; // dOut·v, then dScore
  var lse: array<f32, 4>;
  var delta: array<f32, 4>;

  for (var tile = 0u; tile < p.t1; tile += 4u * Q) {
    let s = tile + lane; // the lane's first key
    // @unroll
    for (var i = 0u; i < Q; i++) {
      let key = (min(s + i * 4u, p.t1 - 1u) * p.B + b) * 3u * C4 + C4 + h * D4;
      // @unroll
      for (var d = 0u; d < D4; d++) {
        let four = qkv[key + d];
        k[i * D + 4u * d] = four.x;
        k[i * D + 4u * d + 1u] = four.y;
        k[i * D + 4u * d + 2u] = four.z;
        k[i * D + 4u * d + 3u] = four.w;
      }
      // @unroll
      for (var d = 0u; d < D4; d++) {
        let four = qkv[key + C4 + d];
        v[i * D + 4u * d] = four.x;
        v[i * D + 4u * d + 1u] = four.y;
        v[i * D + 4u * d + 2u] = four.z;
        v[i * D + 4u * d + 3u] = four.w;
      }
      // @unroll
      for (var d = 0u; d < D; d++) {
        dk[i * D + d] = 0.0;
        dv[i * D + d] = 0.0;
      }
      rFirst[i] = select(p.end, max(s + i * 4u, p.start) + p.shift, s + i * 4u >= first[b]);
    }

    // Blocks of four queries begin at the same places for all keys. Queries before the block's first key see none.
    let seen = max(max(tile, first[b]), p.start) - p.start;
    let r1 = select(p.start + p.shift + seen / 4u * 4u, p.end, tile + 4u * Q <= first[b]);
    for (var r0 = r1; r0 < p.end; r0 += 4u) {
      let record = ((min(r0 + lane, p.end - 1u) * p.B + b) * p.H + h) * (2u * D4 + 1u);
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
      let last = records[record + 2u * D4];
      lse[0] = last.x;
      lse[1] = quadSwapX(last.x);
      lse[2] = quadSwapY(last.x);
      lse[3] = quadSwapDiagonal(last.x);
      delta[0] = last.y;
      delta[1] = quadSwapX(last.y);
      delta[2] = quadSwapY(last.y);
      delta[3] = quadSwapDiagonal(last.y);
      // @unroll
      for (var i = 0u; i < 4u * Q; i++) {
        x[i] = 0.0;
        y[i] = 0.0;
      }
      // @unroll
      for (var d = 0u; d < D; d++) {
        // @unroll
        for (var i = 0u; i < Q; i++) {
          x[4u * i] += k[i * D + d] * q[d];
          x[4u * i + 1u] += k[i * D + d] * quadSwapX(q[d]);
          x[4u * i + 2u] += k[i * D + d] * quadSwapY(q[d]);
          x[4u * i + 3u] += k[i * D + d] * quadSwapDiagonal(q[d]);
          y[4u * i] += v[i * D + d] * g[d];
          y[4u * i + 1u] += v[i * D + d] * quadSwapX(g[d]);
          y[4u * i + 2u] += v[i * D + d] * quadSwapY(g[d]);
          y[4u * i + 3u] += v[i * D + d] * quadSwapDiagonal(g[d]);
        }
      }
      // Weights, 0 for the queries that do not see a key, then dScore.
      // @unroll
      for (var i = 0u; i < Q; i++) {
        // @unroll
        for (var j = 0u; j < 4u; j++) {
          let r = r0 + (lane ^ j);
          x[4u * i + j] = select(0.0, exp(x[4u * i + j] - lse[j]), r >= rFirst[i] && r < p.end);
          y[4u * i + j] = x[4u * i + j] * (y[4u * i + j] - delta[j]);
        }
      }
      // @unroll
      for (var d = 0u; d < D; d++) {
        // @unroll
        for (var i = 0u; i < Q; i++) {
          dk[i * D + d] += y[4u * i] * q[d] + y[4u * i + 1u] * quadSwapX(q[d])
            + y[4u * i + 2u] * quadSwapY(q[d]) + y[4u * i + 3u] * quadSwapDiagonal(q[d]);
          dv[i * D + d] += x[4u * i] * g[d] + x[4u * i + 1u] * quadSwapX(g[d])
            + x[4u * i + 2u] * quadSwapY(g[d]) + x[4u * i + 3u] * quadSwapDiagonal(g[d]);
        }
      }
      // dq of later passes is complete.
      if (r0 < p.own) {
        // @unroll
        for (var d = 0u; d < D; d++) {
          // @unroll
          for (var j = 0u; j < 4u; j++) {
            part[j] = y[j] * k[d];
          }
          // @unroll
          for (var i = 1u; i < Q; i++) {
            // @unroll
            for (var j = 0u; j < 4u; j++) {
              part[j] += y[4u * i + j] * k[i * D + d];
            }
          }
          dq[d] = part[0] + quadSwapX(part[1]) + quadSwapY(part[2]) + quadSwapDiagonal(part[3]);
        }
        if (r0 + lane < p.own && head < p.H) {
          let at = ((r0 + lane - p.shift) * p.B + b) * 3u * C4 + h * D4;
          // @unroll
          for (var d = 0u; d < D4; d++) {
            dqkv[at + d] += vec4f(dq[4u * d], dq[4u * d + 1u], dq[4u * d + 2u], dq[4u * d + 3u]) * p.scale;
          }
        }
      }
    }

    // @unroll
    for (var i = 0u; i < Q; i++) {
      if (s + i * 4u < p.t1 && head < p.H) {
        let at = ((s + i * 4u) * p.B + b) * 3u * C4 + C4 + h * D4;
        // dScore of queries that were not wanted is zero, and so is their dq.
        if (!ADD && s + i * 4u < p.start) {
          // @unroll
          for (var d = 0u; d < D4; d++) {
            dqkv[at - C4 + d] = vec4f();
          }
        }
        // @unroll
        for (var d = 0u; d < D4; d++) {
          let own = i * D + 4u * d;
          var keyGradient = vec4f(dk[own], dk[own + 1u], dk[own + 2u], dk[own + 3u]);
          var valueGradient = vec4f(dv[own], dv[own + 1u], dv[own + 2u], dv[own + 3u]);
          if (ADD) {
            keyGradient += dqkv[at + d];
            valueGradient += dqkv[at + C4 + d];
          }
          dqkv[at + d] = keyGradient;
          dqkv[at + C4 + d] = valueGradient;
        }
      }
    }
  }
}
