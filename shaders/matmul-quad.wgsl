// C = A·B for CPU-run adapters: no barrier, no workgroup memory, registers only, operands of any stride.
// A [M, K] at a0 + m*am + k*ak, B [K, N] at b0 + k*bk + n*bn, C [M, N] at c0 + m*cm + n, each times a batch stride:
// the strides say what is transposed. Where they allow it, matmul-quad-vec.wgsl loads four values at a time.
// After the product, chosen by constants: BIAS adds bias [N] to every row, RESIDUAL adds aux (as C), GELU keeps the
// sum in side (as C) and stores its GELU, GELU_BACKWARD multiplies by GELU's slope at aux, ADD adds to what C holds,
// SUMS leaves the column sums of B in side [N] (a bias gradient where B is dOut; with ADD it adds to them).
//
// A quad (four lanes) makes a tile of 4·MI rows by 4·NJ columns. Lane l loads A for row 4i+l only and gets the
// other three rows of that four by swapping with lanes l^1, l^2, l^3, so each value is loaded once a quad.
// Accumulator (i, q, j) of lane l therefore belongs to row 4i + (l^q), column 4j + l. On SwiftShader a swap is
// one shuffle where a broadcast is ten instructions, and a load of a scalar is about 65.
// KU steps of k share one read and one write of each accumulator; what is left of k goes one by one.
//
// Stores and loads of C are written out for one i only, and the accumulators shifted down under them: a store's text
// is 65 instructions too, and written out for all of them it was two thirds of the compile time.
// At the edges indices are clamped: a lane beyond the last row or column computes and stores the very values that
// the last one does. A guard a store would take a third of the time at K = 64, and most of the compile time. With
// ADD all old values are read before the first swap, which no lane of the quad passes alone, so none is read late.
// Grid: WG/4 quads (tiles) a workgroup, folded; a quad beyond the last tile repeats it and stores nothing,
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
  n0: u32, // column of C that this one begins at: bias and sums are whole
  c0: u32,
  cm: u32,
  cBatch: u32,
}

const WG = 8u; // a multiple of 4; the adapter's subgroup size is best
const MI = 4u;
const NJ = 4u;
const KU = 4u;
const BIAS = false;
const ADD = false;
const RESIDUAL = false;
const GELU = false;
const GELU_BACKWARD = false;
const SUMS = false;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> aux: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> side: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

// gelu.wgsl and gelu-backward.wgsl explain these two.
fn logistic(x: f32) -> f32 {
  let v = clamp(x, -10.0, 10.0);
  return 1.0 / (1.0 + exp(-1.5957691216057308 * v * (1.0 + 0.044715 * v * v)));
}

fn geluSlope(x: f32) -> f32 {
  let v = clamp(x, -10.0, 10.0);
  let e = exp(-1.5957691216057308 * v * (1.0 + 0.044715 * v * v));
  let s = 1.0 / (1.0 + e);
  return s * (1.0 + v * (e * s) * 1.5957691216057308 * (1.0 + 0.134145 * v * v));
}

@compute @workgroup_size(WG)
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
  let asked = (wid.x + wid.y * nwg.x) * (WG / 4u) + index / 4u;
  let tile = min(asked, tiles - 1u);
  let entry = tile / (rowTiles * columnTiles);
  let m0 = (tile / columnTiles % rowTiles) * 4u * MI;
  let n0 = tile % columnTiles * 4u * NJ;

  var aAt: array<u32, MI>;
  var bAt: array<u32, NJ>;
  var column: array<u32, NJ>;
  var cColumn: array<u32, NJ>;
  var shift: array<f32, NJ>;
  var sums: array<f32, NJ>;
  var acc: array<f32, 4u * MI * NJ>;
  // @unroll
  for (var i = 0u; i < MI; i++) {
    aAt[i] = p.a0 + entry * p.aBatch + min(m0 + 4u * i + lane, p.M - 1u) * p.am;
  }
  // @unroll
  for (var j = 0u; j < NJ; j++) {
    column[j] = min(n0 + 4u * j + lane, p.N - 1u);
    bAt[j] = p.b0 + entry * p.bBatch + column[j] * p.bn;
    cColumn[j] = p.c0 + entry * p.cBatch + column[j];
  }
  if (BIAS) {
    // @unroll
    for (var j = 0u; j < NJ; j++) {
      shift[j] = bias[p.n0 + column[j]];
    }
  }
  if (SUMS && ADD) {
    // @unroll
    for (var j = 0u; j < NJ; j++) {
      sums[j] = side[p.n0 + column[j]];
    }
  }
  if (ADD) {
    for (var i = 0u; i < MI; i++) {
      // @unroll
      for (var r = 0u; r < 4u * MI - 4u; r++) {
        // @unroll
        for (var j = 0u; j < NJ; j++) {
          acc[r * NJ + j] = acc[(r + 4u) * NJ + j];
        }
      }
      // @unroll
      for (var q = 0u; q < 4u; q++) {
        let row = min(m0 + 4u * i + (lane ^ q), p.M - 1u) * p.cm;
        // @unroll
        for (var j = 0u; j < NJ; j++) {
          acc[(4u * MI - 4u + q) * NJ + j] = c[row + cColumn[j]];
        }
      }
    }
  }

  var k = 0u;
  for (; k + KU <= p.K; k += KU) {
    var bs: array<f32, KU * NJ>; // written first: by the loop below
    // @unroll
    for (var u = 0u; u < KU; u++) {
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        bs[u * NJ + j] = b[bAt[j] + (k + u) * p.bk];
      }
    }
    if (SUMS && m0 == 0u) {
      // @unroll
      for (var u = 0u; u < KU; u++) {
        // @unroll
        for (var j = 0u; j < NJ; j++) {
          sums[j] += bs[u * NJ + j];
        }
      }
    }
    // @unroll
    for (var i = 0u; i < MI; i++) {
      var own: array<f32, KU>; // written first: by the loop below
      var x1: array<f32, KU>; // written first: by the loop below
      var x2: array<f32, KU>; // written first: by the loop below
      var x3: array<f32, KU>; // written first: by the loop below
      // @unroll
      for (var u = 0u; u < KU; u++) {
        own[u] = a[aAt[i] + (k + u) * p.ak];
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
  for (; k < p.K; k++) {
    var bs: array<f32, NJ>; // written first: by the loop below
    // @unroll
    for (var j = 0u; j < NJ; j++) {
      bs[j] = b[bAt[j] + k * p.bk];
    }
    if (SUMS && m0 == 0u) {
      // @unroll
      for (var u = 0u; u < 1u; u++) {
        // @unroll
        for (var j = 0u; j < NJ; j++) {
          sums[j] += bs[u * NJ + j];
        }
      }
    }
    // @unroll
    for (var i = 0u; i < MI; i++) {
      let own = a[aAt[i] + k * p.ak];
      let x1 = quadSwapX(own);
      let x2 = quadSwapY(own);
      let x3 = quadSwapDiagonal(own);
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        acc[(4u * i) * NJ + j] += own * bs[j];
        acc[(4u * i + 1u) * NJ + j] += x1 * bs[j];
        acc[(4u * i + 2u) * NJ + j] += x2 * bs[j];
        acc[(4u * i + 3u) * NJ + j] += x3 * bs[j];
      }
    }
  }

  if (asked >= tiles) {
    return;
  }
  if (SUMS && m0 == 0u) {
    // @unroll
    for (var j = 0u; j < NJ; j++) {
      side[p.n0 + column[j]] = sums[j];
    }
  }
  for (var i = 0u; i < MI; i++) {
    // @unroll
    for (var q = 0u; q < 4u; q++) {
      let row = min(m0 + 4u * i + (lane ^ q), p.M - 1u) * p.cm;
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        let at = row + cColumn[j];
        var value = acc[q * NJ + j];
        if (BIAS) {
          value += shift[j];
        }
        if (RESIDUAL) {
          value += aux[at];
        }
        if (GELU) {
          side[at] = value;
          value *= logistic(value);
        }
        if (GELU_BACKWARD) {
          value *= geluSlope(aux[at]);
        }
        c[at] = value;
      }
    }
    // @unroll
    for (var r = 0u; r < 4u * MI - 4u; r++) {
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        acc[r * NJ + j] = acc[(r + 4u) * NJ + j];
      }
    }
  }
}
