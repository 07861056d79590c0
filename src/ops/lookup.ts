// Rows of a table by ids that were chosen on the device. (Ids that are data are the embedding's: it sorts them on the
// CPU, once a batch.)
import { fill, pieces, rowsOf } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Op } from '../tape.ts';
import { type DType, empty, type Tensor } from '../tensor.ts';
import { COLS, ceilDiv, widthOf } from './launch.ts';

type Inputs = { table: Tensor };

export interface LookupAttrs {
  /** u32 [M], each below V. They take no gradient: a little change of what chose them chooses the same rows. */
  readonly ids: Tensor;
  /** Type of y; f32 by default. */
  readonly dtype?: DType;
}

/** y[m] = table[ids[m]]. table [V, C], y [M, C]. A table over the device's binding limit is done in pieces. */
export const lookup: Op<Inputs, LookupAttrs> = {
  name: 'lookup',

  forward(gpu, { table }, { ids, dtype }) {
    const y = empty(gpu, [ids.size, widthOf(table)], dtype);
    launch(gpu, 'lookup', 'table', table, { ids, y });
    return { output: y, saved: {} };
  },

  // y[m] = table[ids[m]]: each row of the table takes the gradients of the rows that it became.
  backward(gpu, { attrs: { ids } }, dOutput, d) {
    if (!d.table) return;
    const { tensor, beta } = d.table;
    if (beta === 0) fill(tensor, 0);
    launch(gpu, 'lookup-backward', 'dtable', tensor, { ids, dy: dOutput });
  },
};

function launch(
  gpu: Gpu,
  kernel: string,
  name: string,
  table: Tensor,
  rows: Readonly<Record<string, Tensor>> & { readonly ids: Tensor },
): void {
  const C = widthOf(table);
  const M = rows.ids.size;
  const groups = ceilDiv(M * ceilDiv(C, COLS), 16);
  for (const [vStart, vEnd] of pieces(gpu, table.size / C, 4 * C)) {
    const bind = { ...rows, [name]: rowsOf(table, C, vStart, vEnd) };
    gpu.run(kernel, bind, { M, C, vStart, vEnd }, { groups, unroll: true });
  }
}
