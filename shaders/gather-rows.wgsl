// Row gather: y[r] = x[index[r]]; the rows of an index of 0xffffffff are 0.
// x [.., C], index [R], y [R, C]; with beta 1 y[r] is added to instead. It serves the backward pass too, with the
// inverse index. Grid: a thread COLS columns of a row.
struct Params { R: u32, C: u32, beta: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const COLS = 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let thread = (wid.x + wid.y * nwg.x) * 64u + lid.x;
  let threadsPerRow = (p.C + COLS - 1u) / COLS;
  let r = thread / threadsPerRow;
  if (r >= p.R) { return; }
  let first = (thread % threadsPerRow) * COLS;
  let row = index[r];
  let none = row == 0xffffffffu;
  if (none && p.beta != 0u) { return; }
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    let c = min(first + k, p.C - 1u);
    var value = 0.0;
    if (!none) { value = x[row * p.C + c]; }
    if (p.beta != 0u) { value += y[r * p.C + c]; }
    if (first + k < p.C) { y[r * p.C + c] = value; }
  }
}
