// Gradient of the hidden states that embedding.wgsl feeds back: dhidden[b] = mask[b] != 0 ? dy[b] : 0
// (+ dhidden[b] with beta 1). dy [M, C] with M >= B, dhidden [B, C], mask [B]. Grid: a thread COLS columns of a row.
struct Params { B: u32, C: u32, beta: u32 }
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> dhidden: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const COLS = 4u;

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let thread = (wid.x + wid.y * nwg.x) * 16u + lid.x;
  let threadsPerRow = (p.C + COLS - 1u) / COLS;
  let b = thread / threadsPerRow;
  if (b >= p.B) { return; }
  let first = (thread % threadsPerRow) * COLS;
  let fed = mask[b] != 0u;
  if (!fed && p.beta != 0u) { return; }
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    let i = b * p.C + min(first + k, p.C - 1u);
    var value = 0.0;
    if (fed) { value = dy[i]; }
    if (p.beta != 0u) { value += dhidden[i]; }
    if (first + k < p.C) { dhidden[i] = value; }
  }
}
