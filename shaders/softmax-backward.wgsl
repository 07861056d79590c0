// Gradient of y = softmax(x) a row:
//   dx[r, v] = y[r, v] * (dy[r, v] - sum over w of dy[r, w] * y[r, w])
// y, dy, dx [R, V]; with beta 1 dx is added to. For CPU-run adapters: no barrier, a thread a row.
struct Params { R: u32, V: u32, beta: u32 }
@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = (wid.x + wid.y * nwg.x) * 4u + lid.x;
  if (r >= p.R) { return; }
  let row = r * p.V;
  var mean = 0.0; // of dy under the distribution y
  for (var v = 0u; v < p.V; v++) {
    mean += dy[row + v] * y[row + v];
  }
  for (var v = 0u; v < p.V; v++) {
    var value = y[row + v] * (dy[row + v] - mean);
    if (p.beta != 0u) { value += dx[row + v]; }
    dx[row + v] = value;
  }
}
