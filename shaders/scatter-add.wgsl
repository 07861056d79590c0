// Deterministic scatter-add of rows, from a plan sorted on the CPU: for every distinct target id
//   y[id - yStart] += sum of x[m] over the rows m of that id, in order.
// x [M, C], distinct [N] ids ascending, starts [N + 1] and order [sum]: rows of id n are order[starts[n] .. starts[n+1]).
// y [.., C] holds target rows from yStart on; this call does the ids distinct[nStart .. nEnd).
// Grid: a thread COLS columns of a distinct id. One thread owns an element of y: no atomics.
struct Params { C: u32, nStart: u32, nEnd: u32, yStart: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> distinct: array<u32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

const COLS = 4u;

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let thread = (wid.x + wid.y * nwg.x) * 16u + lid.x;
  let threadsPerRow = (p.C + COLS - 1u) / COLS;
  let n = p.nStart + thread / threadsPerRow;
  if (n >= p.nEnd) { return; }
  let first = (thread % threadsPerRow) * COLS;
  var sum: array<f32, COLS>;
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    sum[k] = 0.0;
  }
  let end = starts[n + 1u];
  for (var j = starts[n]; j < end; j++) {
    let m = order[j];
    let at = m * p.C + first;
    // @unroll
    for (var k = 0u; k < COLS; k++) {
      sum[k] += x[at + min(k, p.C - 1u - first)];
    }
  }
  let id = distinct[n];
  let to = (id - p.yStart) * p.C + first;
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    if (first + k < p.C) { y[to + k] += sum[k]; }
  }
}
