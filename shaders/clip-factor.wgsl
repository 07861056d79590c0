// What gradient clipping multiplies by: norm = scale * sqrt(sumSquares), factor = scale * min(1, maxNorm / (norm + 1e-6)).
// sumSquares [1], y [2] = {norm, factor}; maxNorm 0 clips nothing; grid: one thread.
// A norm that is not finite gives factor 0, on which adamw.wgsl leaves everything as it is.
struct Params { maxNorm: f32, scale: f32 }
@group(0) @binding(0) var<storage, read> sumSquares: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(1)
fn main() {
  let norm = p.scale * sqrt(sumSquares[0]);
  var factor = p.scale;
  if (p.maxNorm > 0.0) { factor *= min(1.0, p.maxNorm / (norm + 1e-6)); }
  // By its bits: a compiler may take comparisons for free of NaN.
  if ((bitcast<u32>(sumSquares[0]) & 0x7f800000u) == 0x7f800000u) { factor = 0.0; }
  y[0] = norm;
  y[1] = factor;
}
