// AdamW with decoupled weight decay (Loshchilov & Hutter 2019, Algorithm 2; torch.optim.AdamW), elementwise:
//   g = factor * grad;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2
//   param = param * keep - rate * m / (sqrt(v) * rootCorrection + eps)
// where keep = 1 - lr * weightDecay for elements below decayEnd (1 above), rate = lr / (1 - beta1^t),
// rootCorrection = 1 / sqrt(1 - beta2^t). The caller gives 1 - beta1 and 1 - beta2, which would lose digits here.
// param, m, v, grad [count], clip [2] = {norm, factor}; factor 0 (a norm that is not finite) skips the step.
// Grid: a thread ITEMS elements, 64 apart (loads first: see add.wgsl). Past the end a thread loads its own first
// element again, not the last one as elsewhere: another thread writes that in place.
struct Params {
  count: u32, decayEnd: u32, keep: f32, rate: f32,
  rest1: f32, beta2: f32, rest2: f32, // 1 - beta1, beta2, 1 - beta2
  rootCorrection: f32, eps: f32,
}
@group(0) @binding(0) var<storage, read> grad: array<f32>;
@group(0) @binding(1) var<storage, read> clip: array<f32>;
@group(0) @binding(2) var<storage, read_write> param: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

const ITEMS = 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let group = wid.x + wid.y * nwg.x;
  let first = group * 64u * ITEMS + lid.x;
  let factor = clip[1];
  if (factor == 0.0 || first >= p.count) { return; }
  var gradHeld: array<f32, ITEMS>;
  var paramHeld: array<f32, ITEMS>;
  var mHeld: array<f32, ITEMS>;
  var vHeld: array<f32, ITEMS>;
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    let i = select(first, first + k * 64u, first + k * 64u < p.count);
    gradHeld[k] = grad[i];
    paramHeld[k] = param[i];
    mHeld[k] = m[i];
    vHeld[k] = v[i];
  }
  // @unroll
  for (var k = 0u; k < ITEMS; k++) {
    let i = first + k * 64u;
    if (i < p.count) {
      let g = factor * gradHeld[k];
      let before = mHeld[k];
      let moment = before + p.rest1 * (g - before);
      let square = p.beta2 * vHeld[k] + p.rest2 * g * g;
      let keep = select(1.0, p.keep, i < p.decayEnd);
      m[i] = moment;
      v[i] = square;
      param[i] = paramHeld[k] * keep - p.rate * moment / (sqrt(square) * p.rootCorrection + p.eps);
    }
  }
}
