// Input embeddings of rows row0 .. row0 + M of a batch: y[m] = wte[ids[row0 + m]] + wpe[positions[row0 + m]]; an id of
// 0xffffffff (a latent column) has no token part. The first `fed` rows take hidden states too, where rows think:
// y[m] += hidden[m] for m < fed, with `masked` only where mask[m] != 0.
// wte here holds the rows [vStart, vEnd) of the vocabulary: a table over the binding limit goes in several calls, the
// first of which writes all but the token part; the others only add rows they hold.
// wte [vEnd - vStart, C], wpe [P, C], ids, positions [M'], hidden [fed, C], mask [fed] (any, if not used), y [M, C].
// Grid: a thread COLS columns of a row.
struct Params { M: u32, C: u32, vStart: u32, vEnd: u32, row0: u32, fed: u32, masked: u32 }
@group(0) @binding(0) var<storage, read> wte: array<f32>;
@group(0) @binding(1) var<storage, read> wpe: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> hidden: array<f32>;
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

const COLS = 4u;
const FED = true; // fed is not 0
const FIRST = true; // vStart is 0
const GUARD = true; // C is no multiple of COLS

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let thread = (wid.x + wid.y * nwg.x) * 64u + lid.x;
  let threadsPerRow = (p.C + COLS - 1u) / COLS;
  let m = thread / threadsPerRow;
  if (m >= p.M) { return; }
  let first = (thread % threadsPerRow) * COLS;
  let id = ids[p.row0 + m];
  let held = id >= p.vStart && id < p.vEnd;
  if (!FIRST && !held) { return; }
  var thinks = FED && m < p.fed;
  if (FED && p.masked != 0u && thinks) { thinks = mask[m] != 0u; }
  let token = select(0u, id - p.vStart, held) * p.C;
  let position = positions[p.row0 + m] * p.C;
  let thought = select(0u, m, thinks) * p.C;
  // @unroll
  for (var k = 0u; k < COLS; k++) {
    var c = first + k;
    if (GUARD) { c = min(c, p.C - 1u); }
    var value = select(0.0, wte[token + c], held);
    if (FIRST) {
      value += wpe[position + c];
      if (FED) { value += select(0.0, hidden[thought + c], thinks); } // no product: what is masked out may be NaN
    } else {
      value += y[m * p.C + c];
    }
    if (!GUARD || first + k < p.C) { y[m * p.C + c] = value; }
  }
}
