// The function of cross-entropy.wgsl where V is a multiple of four: logits and gradients go by fours, a load each,
// which on CPU-run adapters is what most of the time goes to.
// logits, dlogits [R, V], targets, losses [..] from rowStart on; dlogits only with GRADIENT. Grid: a thread a row.
struct Params { R: u32, V: u32, rowStart: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> logits: array<vec4f>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> dlogits: array<vec4f>;
@group(0) @binding(4) var<uniform> p: Params;

const GRADIENT = true;
const LOWEST = -3.4028234e38;

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = (wid.x + wid.y * nwg.x) * 16u + lid.x;
  if (r >= p.R) { return; }
  let label = targets[p.rowStart + r];
  let V4 = p.V / 4u;
  let row = r * V4;
  if (label == 0xffffffffu) {
    losses[p.rowStart + r] = 0.0;
    if (GRADIENT) {
      for (var v = 0u; v < V4; v++) { dlogits[row + v] = vec4f(); }
    }
    return;
  }
  var top = LOWEST; // the maximum so far
  var sum = 0.0; // of exp(logit - top)
  for (var v = 0u; v < V4; v += 2u) {
    let one = logits[row + v];
    // The last four are alone where V is no multiple of eight.
    let two = select(vec4f(LOWEST), logits[row + min(v + 1u, V4 - 1u)], v + 1u < V4);
    let most = max(one, two);
    let best = max(max(max(top, most.x), most.y), max(most.z, most.w));
    let powers = exp(one - best) + exp(two - best);
    sum = sum * exp(top - best) + ((powers.x + powers.y) + (powers.z + powers.w));
    top = best;
  }
  let l = log(sum); // top stays apart from it: their sum would cost a small loss its digits
  losses[p.rowStart + r] = l + (top - logits[row + label / 4u][label % 4u]);
  if (GRADIENT) {
    for (var v = 0u; v < V4; v++) {
      dlogits[row + v] = p.scale * exp((logits[row + v] - top) - l);
    }
    dlogits[row + label / 4u][label % 4u] -= p.scale;
  }
}
