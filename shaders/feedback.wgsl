// Feeds hidden states back as input embeddings: y[b] = embedded[b] + (mask[b] != 0 ? hidden[b] : 0).
// embedded, hidden, y [B, C], mask [B]. Grid: a thread COLS columns of a row.
struct Params { B: u32, C: u32 }
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
  let b = thread / threadsPerRow;
  if (b >= p.B) { return; }
  let first = (thread % threadsPerRow) * COLS;
  let fed = mask[b] != 0u;
  for (var i = b * p.C + first; i < b * p.C + min(first + COLS, p.C); i++) {
    var value = embedded[i];
    if (fed) { value += hidden[i]; } // a branch, not a product: what is masked out may be NaN
    y[i] = value;
  }
}
