// Fill: y[i] = the number whose bits are `bits`, for i < size. By bits, so that it serves every type and any NaN.
// y [size]; grid: a workgroup 256 elements, each thread four of them, 64 apart.
struct Params { size: u32, bits: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<uniform> p: Params;

const GUARD = true; // workgroups may hang over

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  let first = group * 256u + lid.x;
  // @unroll
  for (var k = 0u; k < 4u; k++) {
    let i = first + k * 64u;
    if (!GUARD || i < p.size) { y[i] = p.bits; }
  }
}
