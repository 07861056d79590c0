// Rows of another's length: y[r] = d[r] · |x[r]| / |d[r]|, with |.| the Euclidean norm; 0 where d[r] is.
// x, d, y [R, C]. Grid: a thread a row.
struct Params { R: u32, C: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = (wid.x + wid.y * nwg.x) * 4u + lid.x;
  if (r >= p.R) { return; }
  let first = r * p.C;
  var wanted = 0.0;
  var own = 0.0;
  for (var c = first; c < first + p.C; c++) {
    wanted += x[c] * x[c];
    own += d[c] * d[c];
  }
  var factor = 0.0;
  if (own > 0.0) { factor = sqrt(wanted / own); }
  for (var c = first; c < first + p.C; c++) { y[c] = d[c] * factor; }
}
