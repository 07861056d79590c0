// Rows of several tensors one after another, so that one product takes them all.
import { copyRange } from '../flat.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { widthOf } from './launch.ts';

/** Tensors [.., C], in the order of their names' insertion. */
type Inputs = Readonly<Record<string, Tensor>>;

/** y = all rows of the first input, then those of the next, and so on. Inputs [M1, C], [M2, C], …; y [M1 + M2 + …, C]. */
export const concatRows: Op<Inputs, undefined> = {
  name: 'concat-rows',

  forward(gpu, inputs) {
    const parts = Object.values(inputs);
    const C = widthOf(parts[0]!);
    if (parts.some(part => widthOf(part) !== C))
      throw new Error(`concat-rows: widths differ: ${parts.map(part => `[${part.shape}]`).join(', ')}`);
    const rows = parts.reduce((sum, part) => sum + part.size / C, 0);
    const output = empty(gpu, [rows, C], parts[0]!.dtype);
    for (const [part, at] of places(parts)) copyRange(part, 0, output, at, part.size);
    return { output, saved: {} };
  },

  // y = a, then b, …: each takes its rows of dy.
  backward(_gpu, { inputs }, dOutput, d) {
    const names = Object.keys(inputs);
    for (const [i, [part, at]] of places(Object.values(inputs)).entries()) {
      const slot = d[names[i]!];
      if (slot) copyRange(dOutput, at, slot.tensor, 0, part.size, slot.beta);
    }
  },
};

/** Each tensor and the element of the whole at which it begins. */
function places(parts: readonly Tensor[]): [Tensor, number][] {
  let at = 0;
  return parts.map(part => {
    const place: [Tensor, number] = [part, at];
    at += part.size;
    return place;
  });
}

/** Tensors under names of their order, as the op takes them. */
export function inOrder(parts: readonly Tensor[]): Inputs {
  return Object.fromEntries(parts.map((part, i) => [`part${i}`, part]));
}
