// What attention-backward-quad.wgsl needs of each query before it meets a key:
//   delta[t,b,h] = sum_d dOut[d] * out[d]
//   records[t + shift,b,h,:] = q * scale, dOut, lse, delta, 0, 0
// and zeros for dq to start from, which is added to there.
// Grid: one thread a query of a head, (t1-start)*B*H, heads fastest.
const D = 16u; // a multiple of 4
const D4 = D / 4u;
const WG = 64u;
const ADD = false; // dqkv is added to, so that it stays

struct Params {
  t1: u32,
  start: u32, // first column whose query is wanted
  B: u32,
  H: u32,
  scale: f32, // 1 / sqrt(D)
  shift: u32, // query t is kept in row t + shift of records
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;           // [columns*B, 3C], columns >= t1, C = H*D
@group(0) @binding(1) var<storage, read> out: array<vec4f>;           // [(t1-start)*B, C]
@group(0) @binding(2) var<storage, read> dOut: array<vec4f>;          // [(t1-start)*B, C]
@group(0) @binding(3) var<storage, read> lse: array<f32>;             // [(t1-start)*B, H]
@group(0) @binding(4) var<storage, read_write> dqkv: array<vec4f>;    // [t1*B, 3C]; only dq is written
@group(0) @binding(5) var<storage, read_write> records: array<vec4f>; // [columns*B, H, 2D+4]
@group(0) @binding(6) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) nwg: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let i = (wid.x + wid.y * nwg.x) * WG + lid;
  if (i >= (p.t1 - p.start) * p.B * p.H) { return; }
  let C4 = p.H * D4;
  let h = i % p.H;
  let row = i / p.H; // of the queries that are wanted
  let column = row + p.start * p.B;
  let record = ((column + p.shift * p.B) * p.H + h) * (2u * D4 + 1u);
  var delta = 0.0;
  // @unroll
  for (var d = 0u; d < D4; d++) {
    let g = dOut[row * C4 + h * D4 + d];
    delta += dot(g, out[row * C4 + h * D4 + d]);
    records[record + d] = qkv[column * 3u * C4 + h * D4 + d] * p.scale;
    records[record + D4 + d] = g;
    if (!ADD) { dqkv[column * 3u * C4 + h * D4 + d] = vec4f(); }
  }
  records[record + 2u * D4] = vec4f(lse[i], delta, 0.0, 0.0);
}
