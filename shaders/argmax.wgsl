// Index of the largest logit of each row, the lowest among equals; a NaN never wins.
// logits [R, V], y [R]. Grid: a thread a row.
struct Params { R: u32, V: u32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

// Keys in the order of the numbers, by their bits, since a compiler may take comparisons for free of NaN:
// NaN 0, then -inf … +inf; both zeros alike.
fn key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) != 0u);
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = (wid.x + wid.y * nwg.x) * 4u + lid.x;
  if (r >= p.R) { return; }
  var best = 0u;
  var top = 0u;
  for (var v = 0u; v < p.V; v++) {
    let k = key(logits[r * p.V + v]);
    if (k > top) {
      top = k;
      best = v;
    }
  }
  y[r] = best;
}
