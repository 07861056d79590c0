// C = A·B for GPUs: tiles of A and B in workgroup memory, RM × RN outputs a thread in registers, of 16 × 16 threads.
// A [M, K] at a0 + m*am + k*ak, B [K, N] at b0 + k*bk + n*bn, C [M, N] at c0 + m*cm + n, each times a batch stride:
// the strides say what is transposed, A_K_FAST and B_N_FAST which index neighbouring threads step along when
// they load.
// After the product, chosen by constants: BIAS adds bias [N] to every row, RESIDUAL adds aux (as C), GELU keeps the
// sum in side (as C) and stores its GELU, GELU_BACKWARD multiplies by GELU's slope at aux, ADD adds to what C holds,
// SUMS leaves the column sums of B in side [N] (a bias gradient where B is dOut; with ADD it adds to them).
// Grid: a tile of 16·RM × 16·RN a workgroup, folded.

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

const BIAS = false;
const ADD = false;
const RESIDUAL = false;
const GELU = false;
const GELU_BACKWARD = false;
const SUMS = false;
const A_K_FAST = true;
const B_N_FAST = true;

const RM = 4u;
const RN = 4u;
const DEPTH = 16u;
const THREADS = 256u;
// One column of padding, so that a column of a tile does not fall on one memory bank.
const A_STRIDE = 16u * RM + 1u;
const B_STRIDE = 16u * RN + 1u;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> aux: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> side: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

// Both [DEPTH][STRIDE], k slowest, so that the inner product reads neighbours.
var<workgroup> aTile: array<f32, DEPTH * A_STRIDE>;
var<workgroup> bTile: array<f32, DEPTH * B_STRIDE>;

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

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let rowTiles = (p.M + 16u * RM - 1u) / (16u * RM);
  let columnTiles = (p.N + 16u * RN - 1u) / (16u * RN);
  let tiles = rowTiles * columnTiles * p.batch;
  let asked = wid.x + wid.y * nwg.x;
  // A workgroup beyond the last tile repeats it and stores nothing: barriers need uniform control flow.
  let tile = min(asked, tiles - 1u);
  let entry = tile / (rowTiles * columnTiles);
  let m0 = (tile / columnTiles % rowTiles) * 16u * RM;
  let n0 = tile % columnTiles * 16u * RN;
  let row = thread / 16u;
  let column = thread % 16u;

  var acc: array<f32, RM * RN>;
  var sums: array<f32, RN>;
  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    for (var i = thread; i < 16u * RM * DEPTH; i += THREADS) {
      let m = select(i % (16u * RM), i / DEPTH, A_K_FAST);
      let k = select(i / (16u * RM), i % DEPTH, A_K_FAST);
      let inside = m0 + m < p.M && k0 + k < p.K;
      let at = p.a0 + entry * p.aBatch + min(m0 + m, p.M - 1u) * p.am + min(k0 + k, p.K - 1u) * p.ak;
      aTile[k * A_STRIDE + m] = select(0.0, a[at], inside);
    }
    for (var i = thread; i < 16u * RN * DEPTH; i += THREADS) {
      let n = select(i / DEPTH, i % (16u * RN), B_N_FAST);
      let k = select(i % DEPTH, i / (16u * RN), B_N_FAST);
      let inside = n0 + n < p.N && k0 + k < p.K;
      let at = p.b0 + entry * p.bBatch + min(n0 + n, p.N - 1u) * p.bn + min(k0 + k, p.K - 1u) * p.bk;
      bTile[k * B_STRIDE + n] = select(0.0, b[at], inside);
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      var x: array<f32, RM>; // written first: by the loop below
      var y: array<f32, RN>; // written first: by the loop below
      // @unroll
      for (var i = 0u; i < RM; i++) {
        x[i] = aTile[k * A_STRIDE + row + 16u * i];
      }
      // @unroll
      for (var j = 0u; j < RN; j++) {
        y[j] = bTile[k * B_STRIDE + column + 16u * j];
      }
      // @unroll
      for (var i = 0u; i < RM; i++) {
        // @unroll
        for (var j = 0u; j < RN; j++) {
          acc[RN * i + j] += x[i] * y[j];
        }
      }
      if (SUMS && m0 == 0u) {
        // @unroll
        for (var j = 0u; j < RN; j++) {
          sums[j] += y[j];
        }
      }
    }
    workgroupBarrier();
  }

  // @unroll
  for (var j = 0u; j < RN; j++) {
    let n = n0 + column + 16u * j;
    if (SUMS && m0 == 0u && row == 0u && n < p.N && asked < tiles) {
      var old = 0.0;
      if (ADD) {
        old = side[p.n0 + n];
      }
      side[p.n0 + n] = old + sums[j];
    }
    // @unroll
    for (var i = 0u; i < RM; i++) {
      let m = m0 + row + 16u * i;
      if (m < p.M && n < p.N && asked < tiles) {
        let at = p.c0 + entry * p.cBatch + m * p.cm + n;
        var value = acc[RN * i + j];
        if (BIAS) {
          value += bias[p.n0 + n];
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
        if (ADD) {
          value += c[at];
        }
        c[at] = value;
      }
    }
  }
}
