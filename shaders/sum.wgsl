// Sum of a flat tensor in a fixed order: y[0] = scale * sum of x[i] for i < count.
// x [count], y [1]; grid: one workgroup. Its threads sum every 64th element, then one adds the 64 sums: the only
// barrier in these reductions, met once by one workgroup.
struct Params { count: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) lid: vec3u) {
  var sum = 0.0;
  for (var i = lid.x; i < p.count; i += 64u) { sum += x[i]; }
  part[lid.x] = sum;
  workgroupBarrier();
  if (lid.x == 0u) {
    sum = 0.0;
    for (var t = 0u; t < 64u; t++) { sum += part[t]; }
    y[0] = p.scale * sum;
  }
}
