// Dropout of rows, and the residual sum after it; the gradient too, with dy for x:
//   y[m,c] = beta·y[m,c] + kept(m,c)·x[m,c] / (1 - rate) + residual[m,c]
// kept(m,c) is a function of the row's key, its position t0 + m/B - first[b] (b = m mod B) and c alone: word c mod 2 of
// threefry(key, (position, c/2)) is at least rate·2^32. So nothing is stored, and no pass or batch changes it.
// x, residual, y [M, C]. Grid: a thread COLS columns of a row.
struct Params { M: u32, C: u32, B: u32, t0: u32, site: u32, bound: u32, scale: f32, beta: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> residual: array<f32>; // any, if not used
@group(0) @binding(2) var<storage, read> first: array<u32>;    // [B]
@group(0) @binding(3) var<storage, read> keys: array<vec2u>;   // [sites, B]
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

const COLS = 4u; // a multiple of 2
const RESIDUAL = false;

// A round of Threefry: rotation constants are those of the paper's table 4, for two words of 32 bits.
fn mixed(v: vec2u, r: u32) -> vec2u {
  let sum = v.x + v.y;
  return vec2u(sum, ((v.y << r) | (v.y >> (32u - r))) ^ sum);
}

// Threefry-2x32 of 13 rounds (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  let parity = 0x1bd11bdau ^ key.x ^ key.y;
  var v = counter + key;
  v = mixed(mixed(mixed(mixed(v, 13u), 15u), 26u), 6u) + vec2u(key.y, parity + 1u);
  v = mixed(mixed(mixed(mixed(v, 17u), 29u), 16u), 24u) + vec2u(parity, key.x + 2u);
  v = mixed(mixed(mixed(mixed(v, 13u), 15u), 26u), 6u) + vec2u(key.x, key.y + 3u);
  return mixed(v, 17u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let thread = (wid.x + wid.y * nwg.x) * 64u + lid.x;
  let threadsPerRow = (p.C + COLS - 1u) / COLS;
  let m = thread / threadsPerRow;
  if (m >= p.M) { return; }
  let start = (thread % threadsPerRow) * COLS;
  let b = m % p.B;
  let key = keys[p.site * p.B + b];
  let position = p.t0 + m / p.B - first[b];
  // @unroll
  for (var k = 0u; k < COLS; k += 2u) {
    let words = threefry(key, vec2u(position, (start + k) / 2u));
    // @unroll
    for (var j = 0u; j < 2u; j++) {
      let c = start + k + j;
      if (c < p.C) {
        let i = m * p.C + c;
        var value = select(0.0, x[i] * p.scale, words[j] >= p.bound);
        if (RESIDUAL) { value += residual[i]; }
        if (p.beta != 0u) { value += y[i]; }
        y[i] = value;
      }
    }
  }
}
