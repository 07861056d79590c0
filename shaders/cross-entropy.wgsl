// Softmax cross-entropy, loss and gradient fused, with top = max over v of logits[r, v] and
// l = log(sum over v of exp(logits[r, v] - top)):
//   losses[r] = l + top - logits[r, targets[r]],  dlogits[r, v] = scale * (exp(logits[r, v] - top - l) - (v == targets[r]))
// A target of 0xffffffff is no label: loss and gradient of its row are 0, and its logits are not read.
// logits, dlogits [R, V], targets, losses [..] from rowStart on; dlogits only with GRADIENT.
// For CPU-run adapters: no barrier, a thread a row; the sum of exponentials goes eight columns at a time against
// the maximum so far, so that each logit is loaded once for the sum and once for the gradient.
struct Params { R: u32, V: u32, rowStart: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

const GRADIENT = true;
const CHUNK = 8u;
const GUARD = true; // V is no multiple of CHUNK
const LOWEST = -3.4028234e38;

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = (wid.x + wid.y * nwg.x) * 16u + lid.x;
  if (r >= p.R) { return; }
  let label = targets[p.rowStart + r];
  let row = r * p.V;
  if (label == 0xffffffffu) {
    losses[p.rowStart + r] = 0.0;
    if (GRADIENT) {
      for (var v = 0u; v < p.V; v++) { dlogits[row + v] = 0.0; }
    }
    return;
  }
  var top = LOWEST; // the maximum so far
  var sum = 0.0; // of exp(logit - top)
  var held: array<f32, CHUNK>;
  for (var start = 0u; start < p.V; start += CHUNK) {
    var best = top;
    // @unroll
    for (var k = 0u; k < CHUNK; k++) {
      held[k] = LOWEST;
      if (!GUARD || start + k < p.V) { held[k] = logits[row + start + k]; }
      best = max(best, held[k]);
    }
    var part = 0.0;
    // @unroll
    for (var k = 0u; k < CHUNK; k++) {
      part += exp(held[k] - best);
    }
    sum = sum * exp(top - best) + part;
    top = best;
  }
  let l = log(sum); // top stays apart from it: their sum would cost a small loss its digits
  losses[p.rowStart + r] = l + (top - logits[row + label]);
  if (GRADIENT) {
    for (var v = 0u; v < p.V; v++) {
      dlogits[row + v] = p.scale * (exp((logits[row + v] - top) - l) - select(0.0, 1.0, v == label));
    }
  }
}
