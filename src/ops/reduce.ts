// Sums in a fixed order: over a whole tensor, over the squares of many, and down the rows. No tape ops.
import { bindableRows, pieces, rowsOf } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Slot } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { ceilDiv, widthOf } from './launch.ts';

/** Most partial sums a tensor (or piece of one) is cut into; one workgroup then adds them up. */
const PARTS = 16_384;
/** Elements a thread sums at least, so that small tensors do not become mostly partial sums. */
const ITEMS = 64;
/** Rows a thread of sum-rows adds up: 64 a block, or all of them where there are no more than this. */
const BLOCK_ROWS = 64;
const DIRECT_ROWS = 128;

/** scale * (sum of all elements), as a tensor [1]. */
export function sum(gpu: Gpu, x: Tensor, scale = 1): Tensor {
  if (x.size > PARTS) return total(gpu, [x], false, scale);
  const y = empty(gpu, [1]);
  gpu.run('sum', { x, y }, { count: x.size, scale }, { groups: 1 });
  return y;
}

/** Sum of the squares of all elements of all `tensors`, as a tensor [1]: the squared norm of their union. */
export function sumSquares(gpu: Gpu, tensors: readonly Tensor[]): Tensor {
  return total(gpu, tensors, true, 1);
}

/** Every tensor's partial sums go into a range of their own of one buffer, whose sum is the result. */
function total(gpu: Gpu, tensors: readonly Tensor[], square: boolean, scale: number): Tensor {
  const work = tensors.flatMap(tensor =>
    pieces(gpu, tensor.size, 4).map(([from, to]) => {
      const items = Math.max(ITEMS, 4 * ceilDiv(to - from, 4 * PARTS)); // the kernel takes four at a time
      return { x: rowsOf(tensor, 1, from, to), items, groups: ceilDiv(to - from, 64 * items) };
    }),
  );
  if (work.length === 0) throw new Error('sumSquares: there are no tensors to sum');
  const parts = empty(gpu, [work.reduce((threads, { groups }) => threads + 64 * groups, 0)]);
  let start = 0;
  for (const { x, items, groups } of work) {
    const params = { count: x.size, items, start, threads: 64 * groups };
    gpu.run('partial-sums', { x, parts }, params, { groups, consts: { SQUARE: square }, unroll: true });
    start += 64 * groups;
  }
  const result = sum(gpu, parts, scale);
  parts.free();
  return result;
}

/**
 * Column sums: y[c] = sum over rows of x[m, c], added to y with beta 1. x [M, C] in any shape, y [C].
 * Blocks of rows first, then the blocks, always in row order; x over the device's binding limit in pieces.
 */
export function sumRows(gpu: Gpu, x: Tensor, y: Slot): void {
  const C = y.tensor.size;
  const rows = x.size / C;
  for (const [from, to] of pieces(gpu, rows, x.bytes / rows, bindableRows(x))) {
    const piece = rowsOf(x, C, from, to);
    const { few, M } = fewRows(gpu, piece, C);
    sumBlocks(gpu, few, { tensor: y.tensor, beta: from === 0 ? y.beta : 1 }, M, C, M);
    if (few !== piece) few.free();
  }
}

/** The same where the sums of the left and of the right half of the columns go apart. x [M, 2C], left, right [C]. */
export function sumHalves(gpu: Gpu, x: Tensor, left: Slot | undefined, right: Slot | undefined): void {
  const C = widthOf(x) / 2;
  const { few, M } = fewRows(gpu, x, 2 * C);
  const unwanted = left && right ? undefined : empty(gpu, [C]);
  const bind = { x: few, left: left?.tensor ?? unwanted!, right: right?.tensor ?? unwanted! };
  const params = { M, C, addLeft: left?.beta ?? 0, addRight: right?.beta ?? 0 };
  gpu.run('sum-halves', bind, params, { groups: ceilDiv(2 * C, 32) });
  unwanted?.free();
  if (few !== x) few.free();
}

/** Rows few enough for a thread a column: sums of blocks of x's rows, or x itself, which the caller then keeps. */
function fewRows(gpu: Gpu, x: Tensor, C: number): { few: Tensor; M: number } {
  let M = x.size / C;
  if (!Number.isInteger(M)) throw new Error(`sumRows: [${x.shape}] has no rows of width ${C}`);
  let few = x;
  while (M > DIRECT_ROWS) {
    const blocks = ceilDiv(M, BLOCK_ROWS);
    const parts = empty(gpu, [blocks, C]);
    sumBlocks(gpu, few, { tensor: parts, beta: 0 }, M, C, BLOCK_ROWS);
    if (few !== x) few.free();
    few = parts;
    M = blocks;
  }
  return { few, M };
}

function sumBlocks(gpu: Gpu, x: Tensor, y: Slot, M: number, C: number, rows: number): void {
  const blocks = ceilDiv(M, rows);
  const params = { M, C, rows, blocks, beta: y.beta };
  gpu.run('sum-rows', { x, y: y.tensor }, params, { groups: ceilDiv(blocks * C, 32) });
}
