// The function of sample.wgsl for GPUs and for few rows of a large vocabulary: a workgroup a row. To find the k-th
// largest its threads count 128 columns apart; to draw in index order each owns a range of neighbouring columns.
// logits [R, V], uniforms [R], y [R]. Grid: a workgroup a row.
struct Params { R: u32, V: u32, k: u32, temperature: f32 }
@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> uniforms: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> counts: array<u32, 128>;
var<workgroup> weights: array<f32, 128>;

// The order of the numbers in their bits, as in argmax.wgsl.
fn key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) != 0u);
}

// The largest weighs 1 whatever it is (infinite, too); far below it nothing, which keeps exp in range.
fn weigh(value: f32, topKey: u32) -> f32 {
  if (key(value) == topKey) { return 1.0; }
  let top = bitcast<f32>(select(~topKey, topKey & 0x7fffffffu, (topKey >> 31u) != 0u));
  let distance = (value - top) / p.temperature;
  return select(0.0, exp(max(distance, -87.0)), distance > -87.0);
}

// Sum of every thread's count, the same for all.
fn total(value: u32, lane: u32) -> u32 {
  workgroupBarrier(); // the last sum has been read
  counts[lane] = value;
  workgroupBarrier();
  var sum = 0u;
  for (var t = 0u; t < 128u; t++) { sum += counts[t]; }
  return sum;
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let r = wid.x + wid.y * nwg.x;
  if (r >= p.R) { return; }
  let row = r * p.V;

  // The k-th largest key, bit by bit, as in sample.wgsl.
  var bound = 0u;
  if (p.k < p.V) {
    for (var place = 0u; place < 32u; place++) {
      let bit = 0x80000000u >> place;
      var reached = 0u;
      for (var v = lid.x; v < p.V; v += 128u) {
        if (key(logits[row + v]) >= (bound | bit)) { reached++; }
      }
      if (total(reached, lid.x) >= p.k) { bound |= bit; }
    }
  }
  var topKey = 0u;
  var above = 0u;
  for (var v = lid.x; v < p.V; v += 128u) {
    let order = key(logits[row + v]);
    topKey = max(topKey, order);
    if (order > bound) { above++; }
  }
  above = total(above, lid.x);
  workgroupBarrier();
  counts[lid.x] = topKey;
  workgroupBarrier();
  for (var t = 0u; t < 128u; t++) { topKey = max(topKey, counts[t]); }

  // Own columns, and how many keys equal to the bound lie before them: of those only the first are let in.
  let columns = (p.V + 127u) / 128u;
  let first = min(lid.x * columns, p.V);
  let end = min(first + columns, p.V);
  var equal = 0u;
  for (var v = first; v < end; v++) {
    if (key(logits[row + v]) == bound) { equal++; }
  }
  workgroupBarrier();
  counts[lid.x] = equal;
  workgroupBarrier();
  var before = 0u;
  for (var t = 0u; t < lid.x; t++) { before += counts[t]; }
  let room = max(p.k - above, before) - before;

  var sum = 0.0;
  var ties = room;
  for (var v = first; v < end; v++) {
    let value = logits[row + v];
    let order = key(value);
    var taken = order > bound;
    if (order == bound && order > 0u && ties > 0u) {
      taken = true;
      ties--;
    }
    if (taken) { sum += weigh(value, topKey); }
  }
  weights[lid.x] = sum;
  workgroupBarrier();

  // Whose columns the draw falls in: every thread adds the same sums in the same order.
  var all = 0.0;
  for (var t = 0u; t < 128u; t++) { all += weights[t]; }
  let share = uniforms[r] * all;
  var owner = 0u;
  var start = 0.0;
  var running = 0.0;
  for (var t = 0u; t < 128u; t++) {
    if (weights[t] > 0.0) { // the last with any weight, should rounding leave the sum short
      owner = t;
      start = running;
      running += weights[t];
      if (running > share) { break; }
    }
  }
  if (lid.x != owner) { return; }
  var chosen = 0u;
  ties = room;
  for (var v = first; v < end; v++) {
    let value = logits[row + v];
    let order = key(value);
    var taken = order > bound;
    if (order == bound && order > 0u && ties > 0u) {
      taken = true;
      ties--;
    }
    if (!taken) { continue; }
    let weight = weigh(value, topKey);
    start += weight;
    if (weight > 0.0) {
      chosen = v;
      if (start > share) { break; }
    }
  }
  y[r] = chosen;
}
