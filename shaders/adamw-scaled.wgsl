// adamw.wgsl where the device alone knows how many steps were taken, since it skips some: the corrections of the moments'
// bias are in `state`, as loss-scale.wgsl leaves them, and lr is the rate before them.
//   param = param * keep - lr / correction1 * m / (sqrt(v / correction2) + eps)
// param, m, v, grad [count], count a multiple of 4; clip [2] = {norm, factor}, factor 0 skips the step; state [5].
// Grid: a thread four elements, one load a tensor.
struct Params {
  count: u32, decayEnd: u32, keep: f32, lr: f32,
  rest1: f32, beta2: f32, rest2: f32, // 1 - beta1, beta2, 1 - beta2
  eps: f32,
}
@group(0) @binding(0) var<storage, read> grad: array<vec4f>;
@group(0) @binding(1) var<storage, read> clip: array<f32>;
@group(0) @binding(2) var<storage, read> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> param: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(6) var<uniform> p: Params;

const GUARD = true; // workgroups may hang over

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let i = (wid.x + wid.y * nwg.x) * 64u + lid.x;
  let factor = clip[1];
  if (factor == 0.0 || (GUARD && 4u * i >= p.count)) { return; }
  let rate = p.lr / state[3];
  let rootCorrection = 1.0 / sqrt(state[4]);
  let g = factor * grad[i];
  let before = m[i];
  let moment = before + p.rest1 * (g - before);
  let square = p.beta2 * v[i] + p.rest2 * g * g;
  let decays = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.decayEnd);
  let keep = select(vec4f(1.0), vec4f(p.keep), decays);
  m[i] = moment;
  v[i] = square;
  param[i] = param[i] * keep - rate * moment / (sqrt(square) * rootCorrection + p.eps);
}
