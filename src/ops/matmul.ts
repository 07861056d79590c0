// Matrix products: the general strided product that every linear map uses, and the ops made of it.
// Knows tensors and the two kernel forms; knows nothing of models.
import type { Gpu } from '../gpu/gpu.ts';
import type { Op, Slot } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { sumRows } from './reduce.ts';

/** A stored matrix and whether the product reads it transposed. */
export interface Operand {
  readonly matrix: Tensor;
  readonly transposed: boolean;
}

/** The forms of the product: workgroup-memory tiles for GPUs, registers shared in quads for CPU-run adapters. */
export type MatmulVariant = 'tiled' | 'quad16' | 'quad32';

/** Multiply-adds from which a 32 × 32 tile earns back its compile time (0.9 s against 0.2 s on SwiftShader). */
const LARGE = 2 ** 20;

/** The form used when nothing was measured. */
export function defaultVariant(gpu: Gpu, M: number, N: number, K: number): MatmulVariant {
  if (!gpu.cpuRun || !gpu.features.has('subgroups')) return 'tiled';
  return M > 16 && N > 16 && M * N * K >= LARGE ? 'quad32' : 'quad16';
}

export interface ProductOptions {
  /** Leading dimensions folded into one: A, B and C are then [batch, rows, columns]. */
  readonly batch?: number;
  /** Row vector [N] added to every row. */
  readonly bias?: Tensor | undefined;
  readonly variant?: MatmulVariant | undefined;
}

/**
 * C = op(A)·op(B) + bias (beta 0) or C += … (beta 1), with op(A) [M, K], op(B) [K, N], C [M, N]. A matrix over
 * the device's binding limit is taken in parts of rows. Throws on shapes that don't fit together.
 */
export function product(gpu: Gpu, a: Operand, b: Operand, out: Slot, options: ProductOptions = {}): void {
  const batch = options.batch ?? 1;
  const [aRows, aColumns] = matrixShape(a.matrix, batch);
  const [bRows, bColumns] = matrixShape(b.matrix, batch);
  const [M, N] = matrixShape(out.tensor, batch);
  const K = a.transposed ? aRows : aColumns;
  const fits =
    (a.transposed ? aColumns : aRows) === M &&
    (b.transposed ? bRows : bColumns) === N &&
    (b.transposed ? bColumns : bRows) === K;
  if (!fits)
    throw new Error(
      `matmul: [${a.matrix.shape}]${a.transposed ? 'ᵀ' : ''} · [${b.matrix.shape}]${b.transposed ? 'ᵀ' : ''} does not make [${out.tensor.shape}]`,
    );
  gpu.counts.flops += 2 * batch * M * N * K;
  const whole: Part = { m0: 0, m1: M, n0: 0, n1: N, k0: 0, k1: K };
  for (const part of split(gpu, a, b, out, whole, batch)) {
    const { m0, m1, n0, n1, k0, k1 } = part;
    // A part is cut from a matrix's rows by a view, from its columns by an offset.
    const aView = batch > 1 ? a.matrix : a.transposed ? a.matrix.rows(k0, k1) : a.matrix.rows(m0, m1);
    const bView = batch > 1 ? b.matrix : b.transposed ? b.matrix.rows(n0, n1) : b.matrix.rows(k0, k1);
    const cView = batch > 1 ? out.tensor : out.tensor.rows(m0, m1);
    const variant = options.variant ?? defaultVariant(gpu, m1 - m0, n1 - n0, k1 - k0);
    const params = {
      M: m1 - m0,
      N: n1 - n0,
      K: k1 - k0,
      batch,
      a0: a.transposed ? m0 : k0,
      am: a.transposed ? 1 : aColumns,
      ak: a.transposed ? aColumns : 1,
      aBatch: aRows * aColumns,
      b0: b.transposed ? k0 : 0,
      bk: b.transposed ? 1 : bColumns,
      bn: b.transposed ? bColumns : 1,
      bBatch: bRows * bColumns,
      c0: n0,
      cm: N,
      cBatch: M * N,
    };
    const bias = k0 === 0 ? options.bias?.view([N, 1]).rows(n0, n1) : undefined;
    // Without a bias the binding still needs a buffer: B is read-only there too and never read through it.
    const bind = { a: aView, b: bView, bias: bias ?? bView, c: cView };
    const consts = { BIAS: bias !== undefined, ADD: k0 > 0 || out.beta === 1 };
    launch(gpu, variant, bind, params, consts, a.transposed, b.transposed);
  }
}

interface Part {
  readonly m0: number;
  readonly m1: number;
  readonly n0: number;
  readonly n1: number;
  readonly k0: number;
  readonly k1: number;
}

/** Cuts a product into parts whose views the device can bind; usually one. */
function split(gpu: Gpu, a: Operand, b: Operand, out: Slot, whole: Part, batch: number): Part[] {
  if (batch > 1) return [whole];
  const mParts = ranges(whole.m1, Math.max(cut(gpu, out.tensor), a.transposed ? 1 : cut(gpu, a.matrix)));
  const nParts = ranges(whole.n1, b.transposed ? cut(gpu, b.matrix) : 1);
  const kParts = ranges(
    whole.k1,
    Math.max(a.transposed ? cut(gpu, a.matrix) : 1, b.transposed ? 1 : cut(gpu, b.matrix)),
  );
  return mParts.flatMap(([m0, m1]) =>
    nParts.flatMap(([n0, n1]) => kParts.map(([k0, k1]) => ({ m0, m1, n0, n1, k0, k1 }))),
  );
}

/** In how many parts a matrix must be bound. */
function cut(gpu: Gpu, matrix: Tensor): number {
  return Math.ceil(matrix.bytes / gpu.limits.maxBinding);
}

/** [0, size) in at least `parts` ranges; 64 rows of any width start at a multiple of 256 bytes. */
function ranges(size: number, parts: number): [number, number][] {
  if (parts === 1) return [[0, size]];
  const step = Math.max(64, Math.floor(size / parts / 64) * 64);
  const out: [number, number][] = [];
  for (let from = 0; from < size; from += step) out.push([from, Math.min(from + step, size)]);
  return out;
}

function launch(
  gpu: Gpu,
  variant: MatmulVariant,
  bind: Record<string, Tensor>,
  params: Record<string, number> & { M: number; N: number; batch: number },
  epilogue: { readonly BIAS: boolean; readonly ADD: boolean },
  aTransposed: boolean,
  bTransposed: boolean,
): void {
  if (variant === 'tiled') {
    const groups = Math.ceil(params.M / 64) * Math.ceil(params.N / 64) * params.batch;
    const consts = { ...epilogue, A_K_FAST: !aTransposed, B_N_FAST: !bTransposed };
    gpu.run('matmul-tiled', bind, params, { groups, consts, unroll: true });
    return;
  }
  const side = variant === 'quad16' ? 16 : 32;
  const tiles = Math.ceil(params.M / side) * Math.ceil(params.N / side) * params.batch;
  const consts = { MI: side / 4, NJ: side / 4, KU: 4, ...epilogue };
  gpu.run('matmul-quad', bind, params, { groups: Math.ceil(tiles / 2), consts, unroll: true });
}

function matrixShape(tensor: Tensor, batch: number): [number, number] {
  const columns = tensor.shape.at(-1)!;
  return [tensor.size / columns / batch, columns];
}

export interface MatmulAttrs {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly batch?: number;
  readonly variant?: MatmulVariant;
}

/** c = op(a)·op(b), batched over `batch` leading entries. */
export const matmul: Op<{ a: Tensor; b: Tensor }, MatmulAttrs> = {
  name: 'matmul',
  forward(gpu, { a, b }, attrs) {
    const batch = attrs.batch ?? 1;
    const M = attrs.transposeA ? a.shape.at(-1)! : matrixShape(a, batch)[0];
    const N = attrs.transposeB ? matrixShape(b, batch)[0] : b.shape.at(-1)!;
    const c = empty(gpu, batch > 1 ? [batch, M, N] : [M, N]);
    const A = { matrix: a, transposed: attrs.transposeA ?? false };
    const B = { matrix: b, transposed: attrs.transposeB ?? false };
    product(gpu, A, B, { tensor: c, beta: 0 }, attrs);
    return { output: c, saved: {} };
  },
  // c = op(a)·op(b), so d op(a) = dc·op(b)ᵀ and d op(b) = op(a)ᵀ·dc; a stored transposed gets the transpose of that.
  backward(gpu, { inputs: { a, b }, attrs }, dc, d) {
    const ta = attrs.transposeA ?? false;
    const tb = attrs.transposeB ?? false;
    const A = (transposed: boolean): Operand => ({ matrix: a, transposed });
    const B = (transposed: boolean): Operand => ({ matrix: b, transposed });
    const dC = (transposed: boolean): Operand => ({ matrix: dc, transposed });
    if (d.a && !ta) product(gpu, dC(false), B(!tb), d.a, attrs);
    if (d.a && ta) product(gpu, B(tb), dC(true), d.a, attrs);
    if (d.b && !tb) product(gpu, A(!ta), dC(false), d.b, attrs);
    if (d.b && tb) product(gpu, dC(true), A(ta), d.b, attrs);
  },
};

/** y = x·w + b with x [M, K], w [K, N] (GPT-2's "Conv1D" form), b [N]. */
export const linear: Op<{ x: Tensor; w: Tensor; b?: Tensor }, { readonly variant?: MatmulVariant }> = {
  name: 'linear',
  forward(gpu, { x, w, b }, attrs) {
    const y = empty(gpu, [...x.shape.slice(0, -1), w.shape.at(-1)!]);
    const X = { matrix: x, transposed: false };
    product(gpu, X, { matrix: w, transposed: false }, { tensor: y, beta: 0 }, { ...attrs, bias: b });
    return { output: y, saved: {} };
  },
  backward(gpu, { inputs: { x, w }, attrs }, dy, d) {
    // y = x·w + b
    if (d.x) product(gpu, { matrix: dy, transposed: false }, { matrix: w, transposed: true }, d.x, attrs);
    if (d.w) product(gpu, { matrix: x, transposed: true }, { matrix: dy, transposed: false }, d.w, attrs);
    if (d.b) sumRows(gpu, dy, d.b);
  },
};
