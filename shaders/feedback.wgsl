// Feeds hidden states back as input embeddings of the first column of a pass, whose rows are r = t*B + b:
// y[r] = embedded[r] + (r < B and mask[r] != 0 ? hidden[r] : 0).
// embedded, y [M, C] with M >= B, hidden [B, C], mask [B]. Grid: a thread COLS columns of a row.
struct Params { M: u32, B: u32, C: u32 }
@group(0) @binding(0) var<storage, read> embedded: array<f32>;
@group(0) @binding(1) var<storage, read> hidden: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

const COLS = 4u;

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let thread = (wid.x + wid.y * nwg.x) * 16u + lid.x;
  let threadsPerRow = (p.C + COLS - 1u) / COLS;
  let r = thread / threadsPerRow;
  if (r >= p.M) { return; }
  let first = (thread % threadsPerRow) * COLS;
  let fed = r < p.B && mask[min(r, p.B - 1u)] != 0u;
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    let i = r * p.C + min(first + k, p.C - 1u);
    var value = embedded[i];
    if (fed) { value += hidden[i]; } // a branch, not a product: what is masked out may be NaN
    if (first + k < p.C) { y[i] = value; }
  }
}
