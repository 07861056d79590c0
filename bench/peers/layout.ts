// Attention's arrays between our layout and the others'. Ours is time-major with q, k and v side by side; the others
// take and give each by itself, batch first. Knows indices; knows no engine.

export interface Heads {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly D: number;
}

/** [B, T, H, D] or [B, H, T, D]. */
export type HeadOrder = 'BTHD' | 'BHTD';

/** Part `part` of `parts` side by side: [T·B, parts·C] to one array in `order`. */
export function toHeads(
  data: ArrayLike<number>,
  size: Heads,
  order: HeadOrder,
  part = 0,
  parts = 1,
): Float32Array {
  const out = new Float32Array(size.B * size.T * size.H * size.D);
  forEach(size, order, part, parts, (ours, theirs) => {
    out[theirs] = data[ours]!;
  });
  return out;
}

/** Arrays in `order` to [T·B, parts·C], side by side. */
export function fromHeads(arrays: readonly Float32Array[], size: Heads, order: HeadOrder): Float32Array {
  const out = new Float32Array(arrays.length * size.B * size.T * size.H * size.D);
  for (const [part, array] of arrays.entries())
    forEach(size, order, part, arrays.length, (ours, theirs) => {
      out[ours] = array[theirs]!;
    });
  return out;
}

function forEach(
  { B, T, H, D }: Heads,
  order: HeadOrder,
  part: number,
  parts: number,
  visit: (ours: number, theirs: number) => void,
): void {
  for (let t = 0; t < T; t++)
    for (let b = 0; b < B; b++)
      for (let h = 0; h < H; h++)
        for (let d = 0; d < D; d++) {
          const ours = ((t * B + b) * parts + part) * H * D + h * D + d;
          const row = order === 'BTHD' ? (b * T + t) * H + h : (b * H + h) * T + t;
          visit(ours, row * D + d);
        }
}
