// Column sums over blocks of rows, each in row order:
//   y[block, c] = sum of x[m, c] over m in [block * rows, (block + 1) * rows)   (+ y[block, c] with beta 1)
// x [M, C], y [blocks, C]; the caller repeats it until one block is left. Grid: a thread a (block, column).
struct Params { M: u32, C: u32, rows: u32, blocks: u32, beta: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let i = (wid.x + wid.y * nwg.x) * 32u + lid.x;
  if (i >= p.blocks * p.C) { return; }
  let part = i / p.C;
  let c = i % p.C;
  let last = min((part + 1u) * p.rows, p.M);
  var sum = 0.0;
  for (var m = part * p.rows; m < last; m++) { sum += x[m * p.C + c]; }
  if (p.beta != 0u) { sum += y[i]; }
  y[i] = sum;
}
