// Partial sums of a flat tensor: parts[start + t] = sum of x[i] (of x[i]^2 with SQUARE) over the elements of
// thread t, which takes each workgroup's tile of 64 * items elements at a stride of 64, in order.
// x [count], parts [...]; grid: a thread `items` elements. sum.wgsl adds the parts up.
struct Params { count: u32, items: u32, start: u32, threads: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

const SQUARE = true;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  if (group * 64u >= p.threads) { return; } // a row of the folded grid may hang over
  var sum = 0.0;
  for (var k = 0u; k < p.items; k++) {
    let i = (group * p.items + k) * 64u + lid.x;
    if (i < p.count) {
      let value = x[i];
      if (SQUARE) { sum += value * value; } else { sum += value; }
    }
  }
  parts[p.start + group * 64u + lid.x] = sum;
}
