// matmul-quad.wgsl with four neighbouring values a load: A·B, A·Bᵀ and Aᵀ·B whose contiguous dimensions, K, and all
// offsets and strides but the contiguous ones are multiples of four.
// A [M, K] at a0 + m*am + k*ak, contiguous along m where A_M, else along k; B [K, N] at b0 + k*bk + n*bn, contiguous
// along n where B_N, else along k; C [M, N] at c0 + m*cm + n; each times a batch stride.
// After the product, chosen by constants: BIAS adds bias [N] to every row, RESIDUAL adds aux (as C), GELU keeps the
// sum in side (as C) and stores its GELU, GELU_BACKWARD multiplies by GELU's slope at aux, ADD adds to what C holds,
// SUMS leaves the column sums of B in side [N] (a bias gradient where B is dOut; with ADD it adds to them).
//
// Where A is contiguous along k, lane l loads row 4i+l; along m, it loads rows 16(i/4) + 4l + i%4, four at once. The
// columns of B lie likewise. MB, NB: loads of four along m and n a lane, MI/4 and NJ/4.
// The rest is as matmul-quad.wgsl explains: swaps, edges, stores. Grid: WG/4 quads (tiles) a workgroup, folded.
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
const MB = 1u;
const NB = 1u;
const A_M = false;
const B_N = true;
const BIAS = false;
const ADD = false;
const RESIDUAL = false;
const GELU = false;
const GELU_BACKWARD = false;
const SUMS = false;

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
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
  if (A_M) {
    // @unroll
    for (var i = 0u; i < MB; i++) {
      aAt[i] = (p.a0 + entry * p.aBatch + min(m0 + 16u * i + 4u * lane, p.M - 4u)) / 4u;
    }
  } else {
    // @unroll
    for (var i = 0u; i < MI; i++) {
      aAt[i] = (p.a0 + entry * p.aBatch + min(m0 + 4u * i + lane, p.M - 1u) * p.am) / 4u;
    }
  }
  if (B_N) {
    // @unroll
    for (var j = 0u; j < NB; j++) {
      bAt[j] = (p.b0 + entry * p.bBatch + min(n0 + 16u * j + 4u * lane, p.N - 4u)) / 4u;
    }
  } else {
    // @unroll
    for (var j = 0u; j < NJ; j++) {
      bAt[j] = (p.b0 + entry * p.bBatch + min(n0 + 4u * j + lane, p.N - 1u) * p.bn) / 4u;
    }
  }
  // @unroll
  for (var j = 0u; j < NJ; j++) {
    column[j] = min(n0 + 4u * j + lane, p.N - 1u);
    if (B_N) {
      column[j] = min(n0 + 16u * (j / 4u) + 4u * lane, p.N - 4u) + j % 4u;
    }
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
        var m = min(m0 + 4u * i + (lane ^ q), p.M - 1u);
      if (A_M) {
        m = min(m0 + 16u * (i / 4u) + 4u * (lane ^ q), p.M - 4u) + i % 4u;
      }
      let row = m * p.cm;
        // @unroll
        for (var j = 0u; j < NJ; j++) {
          acc[(4u * MI - 4u + q) * NJ + j] = c[row + cColumn[j]];
        }
      }
    }
  }

  let aStep = p.ak / 4u;
  let bStep = p.bk / 4u;
  for (var k = 0u; k < p.K; k += 4u) {
    var xs: array<f32, 4u * MI>; // written first: by the loop below
    var bs: array<f32, 4u * NJ>; // written first: by the loop below
    if (A_M) {
      // @unroll
      for (var u = 0u; u < 4u; u++) {
        // @unroll
        for (var i = 0u; i < MB; i++) {
          let four = a[aAt[i] + (k + u) * aStep];
          xs[u * MI + 4u * i] = four.x;
          xs[u * MI + 4u * i + 1u] = four.y;
          xs[u * MI + 4u * i + 2u] = four.z;
          xs[u * MI + 4u * i + 3u] = four.w;
        }
      }
    } else {
      // @unroll
      for (var i = 0u; i < MI; i++) {
        let four = a[aAt[i] + k / 4u];
        xs[i] = four.x;
        xs[MI + i] = four.y;
        xs[2u * MI + i] = four.z;
        xs[3u * MI + i] = four.w;
      }
    }
    if (B_N) {
      // @unroll
      for (var u = 0u; u < 4u; u++) {
        // @unroll
        for (var j = 0u; j < NB; j++) {
          let four = b[bAt[j] + (k + u) * bStep];
          bs[u * NJ + 4u * j] = four.x;
          bs[u * NJ + 4u * j + 1u] = four.y;
          bs[u * NJ + 4u * j + 2u] = four.z;
          bs[u * NJ + 4u * j + 3u] = four.w;
        }
      }
    } else {
      // @unroll
      for (var j = 0u; j < NJ; j++) {
        let four = b[bAt[j] + k / 4u];
        bs[j] = four.x;
        bs[NJ + j] = four.y;
        bs[2u * NJ + j] = four.z;
        bs[3u * NJ + j] = four.w;
      }
    }
    if (SUMS && m0 == 0u) {
      // @unroll
      for (var u = 0u; u < 4u; u++) {
        // @unroll
        for (var j = 0u; j < NJ; j++) {
          sums[j] += bs[u * NJ + j];
        }
      }
    }
    // @unroll
    for (var i = 0u; i < MI; i++) {
      var own: array<f32, 4>; // written first: by the loop below
      var x1: array<f32, 4>; // written first: by the loop below
      var x2: array<f32, 4>; // written first: by the loop below
      var x3: array<f32, 4>; // written first: by the loop below
      // @unroll
      for (var u = 0u; u < 4u; u++) {
        own[u] = xs[u * MI + i];
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
        for (var u = 0u; u < 4u; u++) {
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
  if (SUMS && m0 == 0u) {
    // @unroll
    for (var j = 0u; j < NJ; j++) {
      side[p.n0 + column[j]] = sums[j];
    }
  }
  for (var i = 0u; i < MI; i++) {
    // @unroll
    for (var q = 0u; q < 4u; q++) {
      var m = min(m0 + 4u * i + (lane ^ q), p.M - 1u);
      if (A_M) {
        m = min(m0 + 16u * (i / 4u) + 4u * (lane ^ q), p.M - 4u) + i % 4u;
      }
      let row = m * p.cm;
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
