// Gradient of y[m] = table[ids[m]], where ids were chosen on the device, so that no plan of them could be made:
//   dtable[v] += sum of dy[m] over the rows m with ids[m] = v, in order
// ids [M], dy [M, C], dtable [V, C], of which this call serves the rows [vStart, vEnd), bound from vStart on.
// The first row of an id sums up all of it, so one thread owns an element of dtable: no atomics.
// Grid: a thread COLS columns of a row of dy.
struct Params { M: u32, C: u32, vStart: u32, vEnd: u32 }
@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dtable: array<f32>;
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
  for (var j = 0u; j < m; j++) {
    if (ids[j] == id) { return; }
  }
  let first = (thread % threadsPerRow) * COLS;
  var sum: array<f32, COLS>;
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    sum[k] = 0.0;
  }
  for (var j = m; j < p.M; j++) {
    if (ids[j] == id) {
      // @unroll
      for (var k = 0u; k < COLS; k++) {
        sum[k] += dy[j * p.C + min(first + k, p.C - 1u)];
      }
    }
  }
  let to = (id - p.vStart) * p.C + first;
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    if (first + k < p.C) { dtable[to + k] += sum[k]; }
  }
}
