// Appends the keys and values of one pass, columns [t0, t1), to a layer's K/V store.
//   kv[t, b, 0:2C] = qkv[t - t0, b, C:3C]
// The k and v parts of a qkv row lie side by side, and so do those of a store row: each row is one copy.
// Grid: `chunks` workgroups a row, each of WG * ITEMS values, (t1 - t0) * B * chunks in all.
const WG = 64u;
const ITEMS = 4u;

struct Params {
  C: u32,      // width of k, and of v
  row0: u32,   // first store row to write, t0 * B
  rows: u32,   // rows to write, (t1 - t0) * B
  chunks: u32, // ceil(2C / (WG * ITEMS))
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>;      // [(t1-t0)*B, 3C]
@group(0) @binding(1) var<storage, read_write> kv: array<f32>; // [columns*B, 2C]
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let group = wid.x + wid.y * nwg.x;
  let row = group / p.chunks;
  if (row >= p.rows) { return; }
  let source = row * 3u * p.C + p.C;
  let dest = (p.row0 + row) * 2u * p.C;
  let c = group % p.chunks * WG * ITEMS + lid;
  // @unroll
  for (var j = 0u; j < ITEMS; j++) {
    if (c + j * WG < 2u * p.C) { kv[dest + c + j * WG] = qkv[source + c + j * WG]; }
  }
}
