// The clip factor of gradients that are state.scale times too large, and the loss scale after the step:
//   norm = sqrt(sumSquares) / scale, factor = min(1, maxNorm / (norm + 1e-6)) / scale; maxNorm 0 clips nothing
// Where sumSquares is not finite, factor is 0, on which adamw-scaled.wgsl leaves everything as it is, and the scale is
// halved, down to 1. Else the step is taken: the moments' corrections 1 - beta^t go on by rest (1 - correction), with
// rest = 1 - beta, and with `interval` such steps in a row the scale is doubled, up to `most`.
// sumSquares [1], y [2] = {norm, factor}, state [5] = {scale, steps in a row, steps skipped, 1 - beta1^t, 1 - beta2^t}.
// Grid: one thread.
struct Params { maxNorm: f32, rest1: f32, rest2: f32, interval: f32, most: f32 }
@group(0) @binding(0) var<storage, read> sumSquares: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(1)
fn main() {
  let scale = state[0];
  let norm = sqrt(sumSquares[0]) / scale;
  y[0] = norm;
  // By its bits: a compiler may take comparisons for free of NaN.
  if ((bitcast<u32>(sumSquares[0]) & 0x7f800000u) == 0x7f800000u) {
    y[1] = 0.0;
    state[0] = max(1.0, 0.5 * scale);
    state[1] = 0.0;
    state[2] += 1.0;
    return;
  }
  var factor = 1.0 / scale;
  if (p.maxNorm > 0.0) { factor *= min(1.0, p.maxNorm / (norm + 1e-6)); }
  y[1] = factor;
  let row = state[1] + 1.0;
  let full = row >= p.interval;
  state[0] = select(scale, min(2.0 * scale, p.most), full);
  state[1] = select(row, 0.0, full);
  state[3] += p.rest1 * (1.0 - state[3]);
  state[4] += p.rest2 * (1.0 - state[4]);
}
