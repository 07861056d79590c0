// Partial sums of a flat tensor: parts[start + t] = sum of x[i] (of x[i]^2 with SQUARE) over the elements of
// thread t, which takes each workgroup's tile of 64 * items elements at a stride of 64, in order; items is a multiple
// of 4, whose loads do not wait for each other's sums: a step of the loop costs SwiftShader more than a load.
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
  for (var k = 0u; k < p.items; k += 4u) {
    var four: array<f32, 4>; // written first: by the loop below
    // @unroll
    for (var u = 0u; u < 4u; u++) {
      let i = (group * p.items + k + u) * 64u + lid.x;
      let value = x[min(i, p.count - 1u)];
      four[u] = select(0.0, value, i < p.count);
    }
    // @unroll
    for (var u = 0u; u < 4u; u++) {
      if (SQUARE) { sum += four[u] * four[u]; } else { sum += four[u]; }
    }
  }
  parts[p.start + group * 64u + lid.x] = sum;
}
