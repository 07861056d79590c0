// C = A·B (+ bias) or, where ADD, C += A·B (+ bias), for CPU-run adapters: no barrier, no workgroup memory, registers only.
// A [M, K] at a0 + m*am + k*ak, B [K, N] at b0 + k*bk + n*bn, C [M, N] at c0 + m*cm + n, each times a batch stride:
// the strides say what is transposed. bias [N], added where BIAS.
//
// A quad (four lanes) makes a tile of 4·MI rows by 4·NJ columns. Lane l loads A for row 4i+l only and gets the
// other three rows of that four by swapping with lanes l^1, l^2, l^3, so each value is loaded once a quad.
// Accumulator (i, q, j) of lane l therefore belongs to row 4i + (l^q), column 4j + l. On SwiftShader a swap is
// one shuffle where a broadcast is ten instructions, and a load of a scalar is about 65.
// KU steps of k share one read and one write of each accumulator.
//
// At the edges indices are clamped: a lane beyond the last row or column computes and stores the very values that
// the last one does. A guard a store would take a third of the time at K = 64, and most of the compile time. With
// ADD all old values are read before the first swap, which no lane of the quad passes alone, so none is read late.
// Grid: two quads (tiles) a workgroup, folded; a quad beyond the last tile repeats it and stores nothing,
// because quad operations need uniform control flow.
enable subgroups;

struct Params {
  M: u32,
  N: u32,
  K: u32,
  batch: u32,
  a0: u32,
  am: u32,
  ak: u32,
  aBatch: u32,
  b0: u32,
  bk: u32,
  bn: u32,
  bBatch: u32,
  c0: u32,
  cm: u32,
  cBatch: u32,
}

const MI = 4u;
const NJ = 4u;
const KU = 2u;
const BIAS = false;
const ADD = false;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let lane = invocation & 3u;
  let rowTiles = (p.M + 4u * MI - 1u) / (4u * MI);
  let columnTiles = (p.N + 4u * NJ - 1u) / (4u * NJ);
  let tiles = rowTiles * columnTiles * p.batch;
  let asked = (wid.x + wid.y * nwg.x) * 2u + index / 4u;
  let tile = min(asked, tiles - 1u);
  let entry = tile / (rowTiles * columnTiles);
  let m0 = (tile / columnTiles % rowTiles) * 4u * MI;
  let n0 = tile % columnTiles * 4u * NJ;

  var aAt: array<u32, MI>;
  var bAt: array<u32, NJ>;
  var cRow: array<u32, 4u * MI>;
  var cColumn: array<u32, NJ>;
  var acc: array<f32, 4u * MI * NJ>;
  // @unroll
  for (var i = 0u; i < MI; i++) {
    aAt[i] = p.a0 + entry * p.aBatch + min(m0 + 4u * i + lane, p.M - 1u) * p.am;
  }
  // @unroll
  for (var j = 0u; j < NJ; j++) {
    let n = min(n0 + 4u * j + lane, p.N - 1u);
    bAt[j] = p.b0 + entry * p.bBatch + n * p.bn;
    cColumn[j] = p.c0 + entry * p.cBatch + n;
  }
  // @unroll
  for (var r = 0u; r < 4u * MI; r++) {
    cRow[r] = min(m0 + (r & ~3u) + (lane ^ (r & 3u)), p.M - 1u) * p.cm;
  }
  if (ADD) {
    // @unroll
    for (var r = 0u; r < 4u * MI; r++) {
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        acc[r * NJ + j] = c[cRow[r] + cColumn[j]];
      }
    }
  }

  for (var k0 = 0u; k0 < p.K; k0 += KU) {
    var bs = array<f32, KU * NJ>();
    // @unroll
    for (var u = 0u; u < KU; u++) {
      let k = min(k0 + u, p.K - 1u) * p.bk;
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        bs[u * NJ + j] = b[bAt[j] + k];
      }
    }
    // @unroll
    for (var i = 0u; i < MI; i++) {
      var own = array<f32, KU>();
      var x1 = array<f32, KU>();
      var x2 = array<f32, KU>();
      var x3 = array<f32, KU>();
      // @unroll
      for (var u = 0u; u < KU; u++) {
        // Past the end of k the product must be nothing, so A's part is zero there.
        own[u] = select(0.0, a[aAt[i] + min(k0 + u, p.K - 1u) * p.ak], k0 + u < p.K);
        x1[u] = quadSwapX(own[u]);
        x2[u] = quadSwapY(own[u]);
        x3[u] = quadSwapDiagonal(own[u]);
      }
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        var s0 = acc[(4u * i) * NJ + j];
        var s1 = acc[(4u * i + 1u) * NJ + j];
        var s2 = acc[(4u * i + 2u) * NJ + j];
        var s3 = acc[(4u * i + 3u) * NJ + j];
        // @unroll
        for (var u = 0u; u < KU; u++) {
          s0 += own[u] * bs[u * NJ + j];
          s1 += x1[u] * bs[u * NJ + j];
          s2 += x2[u] * bs[u * NJ + j];
          s3 += x3[u] * bs[u * NJ + j];
        }
        acc[(4u * i) * NJ + j] = s0;
        acc[(4u * i + 1u) * NJ + j] = s1;
        acc[(4u * i + 2u) * NJ + j] = s2;
        acc[(4u * i + 3u) * NJ + j] = s3;
      }
    }
  }

  if (asked >= tiles) {
    return;
  }
  // @unroll
  for (var j = 0u; j < NJ; j++) {
    var shift = 0.0;
    if (BIAS) {
      shift = bias[min(n0 + 4u * j + lane, p.N - 1u)];
    }
    // @unroll
    for (var r = 0u; r < 4u * MI; r++) {
      c[cRow[r] + cColumn[j]] = acc[r * NJ + j] + shift;
    }
  }
}
