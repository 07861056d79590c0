// C = A·B (+ bias) or, where ADD, C += A·B (+ bias), for GPUs: tiles of A and B in workgroup memory, 4 × 4 outputs a thread in registers.
// A [M, K] at a0 + m*am + k*ak, B [K, N] at b0 + k*bk + n*bn, C [M, N] at c0 + m*cm + n, each times a batch stride:
// the strides say what is transposed, A_K_FAST and B_N_FAST which index neighbouring threads step along when
// they load. bias [N], added where BIAS. Grid: a 64 × 64 tile a workgroup, folded.

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

const BIAS = false;
const ADD = false;
const A_K_FAST = true;
const B_N_FAST = true;

const TILE = 64u;
const DEPTH = 16u;
const THREADS = 256u;
// One column of padding, so that a column of a tile does not fall on one memory bank.
const STRIDE = 65u;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

// Both [DEPTH][STRIDE], k slowest, so that the inner product reads neighbours.
var<workgroup> aTile: array<f32, DEPTH * STRIDE>;
var<workgroup> bTile: array<f32, DEPTH * STRIDE>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let rowTiles = (p.M + TILE - 1u) / TILE;
  let columnTiles = (p.N + TILE - 1u) / TILE;
  let tiles = rowTiles * columnTiles * p.batch;
  let asked = wid.x + wid.y * nwg.x;
  // A workgroup beyond the last tile repeats it and stores nothing: barriers need uniform control flow.
  let tile = min(asked, tiles - 1u);
  let entry = tile / (rowTiles * columnTiles);
  let m0 = (tile / columnTiles % rowTiles) * TILE;
  let n0 = tile % columnTiles * TILE;
  let row = thread / 16u;
  let column = thread % 16u;

  var acc: array<f32, 16>;
  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    for (var i = thread; i < TILE * DEPTH; i += THREADS) {
      let m = select(i % TILE, i / DEPTH, A_K_FAST);
      let ka = select(i / TILE, i % DEPTH, A_K_FAST);
      let inA = m0 + m < p.M && k0 + ka < p.K;
      let aAt = p.a0 + entry * p.aBatch + min(m0 + m, p.M - 1u) * p.am + min(k0 + ka, p.K - 1u) * p.ak;
      aTile[ka * STRIDE + m] = select(0.0, a[aAt], inA);
      let n = select(i / DEPTH, i % TILE, B_N_FAST);
      let kb = select(i % DEPTH, i / TILE, B_N_FAST);
      let inB = n0 + n < p.N && k0 + kb < p.K;
      let bAt = p.b0 + entry * p.bBatch + min(n0 + n, p.N - 1u) * p.bn + min(k0 + kb, p.K - 1u) * p.bk;
      bTile[kb * STRIDE + n] = select(0.0, b[bAt], inB);
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      var x = array<f32, 4>();
      var y = array<f32, 4>();
      // @unroll
      for (var i = 0u; i < 4u; i++) {
        x[i] = aTile[k * STRIDE + row + 16u * i];
        y[i] = bTile[k * STRIDE + column + 16u * i];
      }
      // @unroll
      for (var i = 0u; i < 4u; i++) {
        // @unroll
        for (var j = 0u; j < 4u; j++) {
          acc[4u * i + j] += x[i] * y[j];
        }
      }
    }
    workgroupBarrier();
  }

  // @unroll
  for (var i = 0u; i < 4u; i++) {
    let m = m0 + row + 16u * i;
    // @unroll
    for (var j = 0u; j < 4u; j++) {
      let n = n0 + column + 16u * j;
      if (m < p.M && n < p.N && asked < tiles) {
        let at = p.c0 + entry * p.cBatch + m * p.cm + n;
        var value = acc[4u * i + j];
        if (BIAS) {
          value += bias[n];
        }
        if (ADD) {
          value += c[at];
        }
        c[at] = value;
      }
    }
  }
}
