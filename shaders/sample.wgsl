// Draws a token a row from softmax(logits / temperature) over its k largest logits (the lower index among equals):
// the first at which the running sum of weights, in index order, exceeds uniforms[r] of their total.
// logits [R, V], uniforms [R], y [R]. Grid: a thread a row. NaN is never drawn; a row of NaN gives 0.
struct Params { R: u32, V: u32, k: u32, temperature: f32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> uniforms: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> p: Params;

// The order of the numbers in their bits, as in argmax.wgsl.
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
  let row = r * p.V;

  // The k-th largest key, bit by bit from the top: the largest number that at least k keys reach. 32 passes for
  // any k, where picking the largest k times would take k.
  var bound = 0u;
  if (p.k < p.V) {
    for (var place = 0u; place < 32u; place++) {
      let bit = 0x80000000u >> place;
      var reached = 0u;
      for (var v = 0u; v < p.V; v++) {
        if (key(logits[row + v]) >= (bound | bit)) { reached++; }
      }
      if (reached >= p.k) { bound |= bit; }
    }
  }
  var topKey = 0u;
  var top = 0.0;
  var above = 0u;
  for (var v = 0u; v < p.V; v++) {
    let value = logits[row + v];
    let order = key(value);
    if (order > bound) { above++; }
    if (order > topKey) {
      topKey = order;
      top = value;
    }
  }

  // First the total weight, then the draw: the same sum in the same order.
  var share = 0.0;
  var total = 0.0;
  var chosen = 0u;
  for (var round = 0u; round < 2u; round++) {
    var ties = p.k - above; // keys equal to the bound that are still let in
    var sum = 0.0;
    for (var v = 0u; v < p.V; v++) {
      let value = logits[row + v];
      let order = key(value);
      var taken = order > bound;
      if (order == bound && order > 0u && ties > 0u) {
        taken = true;
        ties--;
      }
      if (!taken) { continue; }
      // The largest weighs 1 whatever it is (infinite, too); far below it nothing, which keeps exp in range.
      let distance = (value - top) / p.temperature;
      var weight = 0.0;
      if (order == topKey) { weight = 1.0; } else if (distance > -87.0) { weight = exp(distance); }
      sum += weight;
      if (round == 1u && weight > 0.0) {
        chosen = v; // the last with any weight, should rounding leave the sum short
        if (sum > share) { break; }
      }
    }
    total = sum;
    share = uniforms[r] * total;
  }
  y[r] = chosen;
}
