// Rows of a table: y[m] = table[ids[m]].
// ids [M], y [M, C], table [V, C], of which this call serves the rows [vStart, vEnd), bound from vStart on.
// Grid: a thread COLS columns of a row of y.
struct Params { M: u32, C: u32, vStart: u32, vEnd: u32 }
@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const COLS = 4u;

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let thread = (wid.x + wid.y * nwg.x) * 16u + lid.x;
  let threadsPerRow = (p.C + COLS - 1u) / COLS;
  let m = thread / threadsPerRow;
  if (m >= p.M) { return; }
  let id = ids[m];
  if (id < p.vStart || id >= p.vEnd) { return; }
  let first = (thread % threadsPerRow) * COLS;
  let at = (id - p.vStart) * p.C;
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    if (first + k < p.C) { y[m * p.C + first + k] = table[at + first + k]; }
  }
}
