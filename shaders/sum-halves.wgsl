// Column sums in row order, of the left and of the right half of the columns:
//   left[c] = sum over m of x[m, c], right[c] = sum over m of x[m, C + c]   (+ what is there, with addLeft, addRight)
// x [M, 2C], left, right [C]. Grid: a thread a column.
struct Params { M: u32, C: u32, addLeft: u32, addRight: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> left: array<f32>;
@group(0) @binding(2) var<storage, read_write> right: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let column = (wid.x + wid.y * nwg.x) * 32u + lid.x;
  if (column >= 2u * p.C) { return; }
  var sum = 0.0;
  for (var m = 0u; m < p.M; m++) { sum += x[m * 2u * p.C + column]; }
  if (column < p.C) {
    if (p.addLeft != 0u) { sum += left[column]; }
    left[column] = sum;
  } else {
    let c = column - p.C;
    if (p.addRight != 0u) { sum += right[c]; }
    right[c] = sum;
  }
}
