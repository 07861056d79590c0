// Appends the keys and values of one pass, columns [t0, t1), to a layer's K/V store.
//   kv[t, b, 0:2C] = qkv[t - t0, b, C:3C]
// The k and v parts of a qkv row lie side by side, and so do those of a store row: each row is one copy.
// Grid: one thread a value of the pass's keys and values, n = (t1 - t0) * B * 2C.
const WG = 64u;

struct Params {
  n: u32,   // values to copy
  C: u32,   // width of k, and of v
  row0: u32 // first store row to write, t0 * B
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
  let i = (wid.x + wid.y * nwg.x) * WG + lid;
  if (i >= p.n) { return; }
  let row = i / (2u * p.C);
  kv[p.row0 * 2u * p.C + i] = qkv[i + (row + 1u) * p.C];
}
