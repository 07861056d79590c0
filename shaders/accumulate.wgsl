// y += x, element by element. x, y [size]. Grid: one thread an element, folded.

struct Params {
  size: u32,
}

const WORKGROUP = 256u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (wid.x + wid.y * nwg.x) * WORKGROUP + lane;
  if (i < p.size) {
    y[i] += x[i];
  }
}
