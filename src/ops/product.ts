// The general strided matrix product that every linear map uses, in all its variants, with what may follow it in the
// same dispatch. Knows tensors and kernel variants; knows no op and no model.
import { bindableRows } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { Slot } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { lanes } from './launch.ts';
import { sumRows } from './reduce.ts';

/** A stored matrix and whether the product reads it transposed. */
export interface Operand {
  readonly matrix: Tensor;
  readonly transposed: boolean;
}

/**
 * Kernel forms of the product and their tiles (rows × columns):
 * - tiled-*: workgroup memory and barriers, for GPUs; `-split` cuts K into parts that are summed in order, for
 *   products of few tiles and a long K;
 * - quad-*: registers shared by the four lanes of a quad, for CPU-run adapters with the feature `subgroups`;
 * - vec-*: the same with four values a load, where sizes and strides are multiples of four.
 */
const FORMS = {
  'tiled-64x64': { kernel: 'matmul-tiled', rows: 64, columns: 64, parts: 1 },
  'tiled-32x64': { kernel: 'matmul-tiled', rows: 32, columns: 64, parts: 1 },
  'tiled-32x32': { kernel: 'matmul-tiled', rows: 32, columns: 32, parts: 1 },
  'tiled-16x64': { kernel: 'matmul-tiled', rows: 16, columns: 64, parts: 1 },
  'tiled-16x16': { kernel: 'matmul-tiled', rows: 16, columns: 16, parts: 1 },
  'tiled-32x32-split': { kernel: 'matmul-tiled', rows: 32, columns: 32, parts: 8 },
  'quad-32x32': { kernel: 'matmul-quad', rows: 32, columns: 32, parts: 1 },
  'quad-16x32': { kernel: 'matmul-quad', rows: 16, columns: 32, parts: 1 },
  'quad-16x16': { kernel: 'matmul-quad', rows: 16, columns: 16, parts: 1 },
  'quad-4x32': { kernel: 'matmul-quad', rows: 4, columns: 32, parts: 1 },
  'vec-32x32': { kernel: 'matmul-quad-vec', rows: 32, columns: 32, parts: 1 },
  'vec-16x32': { kernel: 'matmul-quad-vec', rows: 16, columns: 32, parts: 1 },
  'vec-16x16': { kernel: 'matmul-quad-vec', rows: 16, columns: 16, parts: 1 },
  'vec-4x32': { kernel: 'matmul-quad-vec', rows: 4, columns: 32, parts: 1 },
} as const;

export type MatmulVariant = keyof typeof FORMS;

export function isMatmulVariant(name: string): name is MatmulVariant {
  return Object.hasOwn(FORMS, name);
}

/** A variant's kernel file, its tile, and the parts that it cuts K into. */
export function matmulForm(name: MatmulVariant): {
  readonly kernel: string;
  readonly rows: number;
  readonly columns: number;
  readonly parts: number;
} {
  return FORMS[name];
}

/** Shader files of all variants, and in words what the variants make of them: measurements hold for these. */
export function matmulSources(): { readonly kernels: readonly string[]; readonly forms: string } {
  const kernels = new Set<string>(Object.values(FORMS).map(form => form.kernel));
  return { kernels: [...kernels, 'sum-rows'], forms: JSON.stringify(FORMS) };
}

/** A product's sizes and which operands it reads transposed: what a variant is chosen by. */
export interface ProductShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Something follows the product in its dispatch, or it is not the whole of C: what a split one cannot do. */
  readonly epilogue: boolean;
  /** All offsets and strides are multiples of four; where absent, those of whole matrices are meant. */
  readonly aligned?: boolean;
  /** Which of the operands and the result are stored as f16; where absent, none. */
  readonly halves?: readonly Matrix[];
}

/** The matrices of C = A·B by their names in the kernels. */
export type Matrix = (typeof MATRICES)[number];
const MATRICES = ['a', 'b', 'c'] as const;

/** The variants that give this product right on this device, whatever their speed. */
export function matmulVariants(gpu: Gpu, shape: ProductShape): MatmulVariant[] {
  return (Object.keys(FORMS) as MatmulVariant[]).filter(name => runs(gpu, name, shape));
}

function runs(gpu: Gpu, name: MatmulVariant, shape: ProductShape): boolean {
  const { kernel, rows, parts } = FORMS[name];
  const { M, N, K, transposeA, transposeB } = shape;
  if (parts > 1) return !shape.epilogue && K % parts === 0 && K / parts >= 32;
  if (kernel === 'matmul-tiled') return true;
  if (!gpu.features.has('subgroups')) return false;
  if (kernel === 'matmul-quad') return true;
  const aContiguous = transposeA ? M : K;
  const bContiguous = transposeB ? K : N;
  const fours = K % 4 === 0 && aContiguous % 4 === 0 && bContiguous % 4 === 0;
  return fours && shape.aligned !== false && !(transposeA && (transposeB || rows < 16));
}

/**
 * Multiply-adds from which a tile of 32 × 32 earns back its compile time on SwiftShader, half a second each for what
 * may follow the product, where 16 × 32 takes 0.3 s and is a tenth slower; and only with matrices B of so many values:
 * a smaller model meets so large products in evaluations alone, and is trained in a minute.
 */
const LARGE = { work: 2 ** 27, matrix: 2 ** 16 };

/**
 * Values of a weight matrix up to which SwiftShader gets tiles of 16 × 16: they compile in half the time of 16 × 32, and
 * compiling is much of what a run of so small a model takes.
 */
const TINY = 2 ** 12;

/** The form used when nothing was measured; docs/log.md has the figures. */
export function defaultVariant(gpu: Gpu, shape: ProductShape): MatmulVariant {
  const { M, N, K, transposeA } = shape;
  if (!gpu.cpuRun || !gpu.features.has('subgroups')) {
    if (M <= 16) return N <= 256 ? 'tiled-16x16' : 'tiled-16x64';
    // Enough workgroups to fill a GPU come before large tiles.
    return M * N >= 2 ** 18 ? 'tiled-64x64' : 'tiled-32x32';
  }
  // LLVM, under llvmpipe, has 16 registers of eight lanes and spills from 16 × 16 on; SwiftShader spills anyway.
  const large = M * N * K >= LARGE.work && N * K >= LARGE.matrix;
  const tiny = (transposeA ? M * N : N * K) <= TINY; // Aᵀ·B is a weight's gradient: the weight is C.
  const small = !gpu.swiftshader || N <= 16 || tiny;
  const tile = M <= 4 ? '4x32' : small ? '16x16' : large ? '32x32' : '16x32';
  return runs(gpu, `vec-${tile}`, shape) ? `vec-${tile}` : `quad-${tile}`;
}

/** What is done to the product before it is stored, in the same dispatch. */
export interface ProductOptions {
  /** Leading dimensions folded into one: A, B and C are then [batch, rows, columns]. */
  readonly batch?: number;
  /** Row vector [N] added to every row. */
  readonly bias?: Tensor | undefined;
  /** Added elementwise, of C's shape. */
  readonly residual?: Tensor | undefined;
  /** C becomes the GELU of the sum, which itself is kept here, of C's shape. */
  readonly gelu?: Tensor | undefined;
  /** Multiplies by the slope of GELU at these values, of C's shape. */
  readonly geluAt?: Tensor | undefined;
  /** Takes the column sums of B [N]: with dW = Xᵀ·dY that is the gradient of the bias. */
  readonly columnSums?: Slot | undefined;
  /**
   * Only these parts are wanted: rows [m0, m1), columns [n0, n1), inner indices [k0, k1), each the whole by default.
   * Where the device's limits cut the product anyway, all of it is computed.
   */
  readonly ranges?: readonly Partial<Part>[] | undefined;
  readonly variant?: MatmulVariant | undefined;
}

/**
 * C = op(A)·op(B) (beta 0) or C += … (beta 1), with op(A) [M, K], op(B) [K, N], C [M, N], and what `options` asks
 * for. A matrix over the device's binding limit is taken in parts of rows. Throws on shapes that don't fit together.
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
  const whole: Part = { m0: 0, m1: M, n0: 0, n1: N, k0: 0, k1: K };
  const cuts = split(gpu, a, b, out, whole, batch);
  // What is bound in parts by views is computed whole.
  const ranges = cuts.length === 1 ? options.ranges : undefined;
  const parts = ranges?.map((range): Part => ({ ...whole, ...range })) ?? cuts;
  // Some kernels begin with what C holds, others end with it: under GELU that is not the same.
  if ((options.gelu || options.geluAt) && out.beta === 1)
    throw new Error(`matmul: GELU cannot follow a product that is added to [${out.tensor.shape}]`);
  const { columnSums } = options;
  const sumsHere = columnSums && parts.length === 1 && columnSums.beta === out.beta && !b.transposed;
  if (columnSums && !sumsHere) sumRows(gpu, b.matrix, columnSums);
  if ((options.gelu || options.geluAt) && !ranges && parts.some(part => part.k1 - part.k0 < K))
    throw new Error(`matmul: [${K}, ${N}] is over the binding limit, and GELU cannot follow a part of a sum`);
  const none = empty(gpu, [1]);
  for (const part of parts) {
    const { m0, m1, n0, n1, k0, k1 } = part;
    // A part is cut from a matrix's rows by a view, from its columns by an offset.
    const unviewed = batch > 1 || ranges !== undefined;
    const rows = (x: Tensor): Tensor => (unviewed ? x : x.view([M, N]).rows(m0, m1));
    const aView = unviewed ? a.matrix : a.transposed ? a.matrix.rows(k0, k1) : a.matrix.rows(m0, m1);
    const bView = unviewed ? b.matrix : b.transposed ? b.matrix.rows(n0, n1) : b.matrix.rows(k0, k1);
    const am = a.transposed ? 1 : aColumns;
    const ak = a.transposed ? aColumns : 1;
    const bk = b.transposed ? 1 : bColumns;
    const bn = b.transposed ? bColumns : 1;
    const params = {
      M: m1 - m0,
      N: n1 - n0,
      K: k1 - k0,
      batch,
      a0: ranges ? m0 * am + k0 * ak : a.transposed ? m0 : k0,
      am,
      ak,
      aBatch: aRows * aColumns,
      b0: ranges ? k0 * bk + n0 * bn : b.transposed ? k0 : 0,
      bk,
      bn,
      bBatch: bRows * bColumns,
      n0,
      c0: ranges ? m0 * N + n0 : n0,
      cm: N,
      cBatch: M * N,
    };
    const first = ranges !== undefined || k0 === 0;
    const bias = first ? options.bias : undefined;
    const residual = first ? options.residual : undefined;
    const { gelu, geluAt } = options;
    // What is not asked for still needs a buffer to bind: B for what would be read, a tensor of one for the rest.
    const bind = {
      a: aView,
      b: bView,
      bias: bias ?? bView,
      aux: residual ? rows(residual) : geluAt ? rows(geluAt) : bView,
      c: batch > 1 ? out.tensor : rows(out.tensor),
      side: gelu ? rows(gelu) : sumsHere ? columnSums.tensor : none,
    };
    const epilogue: Epilogue = {
      BIAS: bias !== undefined,
      ADD: !first || out.beta === 1,
      RESIDUAL: residual !== undefined,
      GELU: gelu !== undefined,
      GELU_BACKWARD: geluAt !== undefined,
      SUMS: sumsHere ?? false,
    };
    const work = { bind, params, epilogue, transposeA: a.transposed, transposeB: b.transposed };
    launch(gpu, options.variant, work);
  }
  none.free();
}

/** A box of the product's index space. */
export interface Part {
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
  const unit = bindableRows(a.matrix, b.matrix, out.tensor);
  const mParts = ranges(
    whole.m1,
    Math.max(cut(gpu, out.tensor), a.transposed ? 1 : cut(gpu, a.matrix)),
    unit,
  );
  const nParts = ranges(whole.n1, b.transposed ? cut(gpu, b.matrix) : 1, unit);
  const kParts = ranges(
    whole.k1,
    Math.max(a.transposed ? cut(gpu, a.matrix) : 1, b.transposed ? 1 : cut(gpu, b.matrix)),
    unit,
  );
  return mParts.flatMap(([m0, m1]) =>
    nParts.flatMap(([n0, n1]) => kParts.map(([k0, k1]) => ({ m0, m1, n0, n1, k0, k1 }))),
  );
}

/** In how many parts a matrix must be bound. */
function cut(gpu: Gpu, matrix: Tensor): number {
  return Math.ceil(matrix.bytes / gpu.limits.maxBinding);
}

/** [0, size) in at least `parts` ranges, which begin at multiples of `unit`: there a view can be bound. */
function ranges(size: number, parts: number, unit: number): [number, number][] {
  if (parts === 1) return [[0, size]];
  const step = Math.max(unit, Math.floor(size / parts / unit) * unit);
  const out: [number, number][] = [];
  for (let from = 0; from < size; from += step) out.push([from, Math.min(from + step, size)]);
  return out;
}

/** The constants of the same names in the kernels. */
interface Epilogue {
  readonly [name: string]: boolean;
  readonly BIAS: boolean;
  readonly ADD: boolean;
  readonly RESIDUAL: boolean;
  readonly GELU: boolean;
  readonly GELU_BACKWARD: boolean;
  readonly SUMS: boolean;
}

type Params = Readonly<Record<string, number>> & {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly batch: number;
  readonly a0: number;
  readonly am: number;
  readonly ak: number;
  readonly aBatch: number;
  readonly b0: number;
  readonly bk: number;
  readonly bn: number;
  readonly bBatch: number;
};

/** Whether loads of four values can be used: every offset and every stride but 1 is a multiple of four. */
function aligned({ a0, am, ak, aBatch, b0, bk, bn, bBatch }: Params): boolean {
  return [a0, aBatch, b0, bBatch, am, ak, bk, bn].every(x => x === 1 || x % 4 === 0);
}

/** Shapes of one class run alike: sizes to the next power of two, and what decides which variants run at all. */
export function shapeClass(shape: ProductShape): string {
  const { M, N, K, transposeA, transposeB, epilogue, aligned, halves = [] } = shape;
  const size = (x: number): number => 2 ** Math.ceil(Math.log2(x));
  const form = `${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}${epilogue ? ' epilogue' : ''}`;
  const fours = aligned !== false && [M, N, K].every(x => x % 4 === 0) ? ' fours' : '';
  const stored = halves.length > 0 ? ` f16:${halves.join('')}` : '';
  return `${size(M)}x${size(N)}x${size(K)} ${form}${fours}${stored}`;
}

function choose(gpu: Gpu, shape: ProductShape): MatmulVariant {
  const measured = gpu.choices.pick('matmul', shapeClass(shape), shape) as MatmulVariant | undefined;
  return measured && runs(gpu, measured, shape) ? measured : defaultVariant(gpu, shape);
}

/** One part of a product, as the kernels take it. */
interface Work {
  readonly bind: Readonly<Record<string, Tensor> & Record<Matrix, Tensor>>;
  readonly params: Params;
  readonly epilogue: Epilogue;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function launch(gpu: Gpu, asked: MatmulVariant | undefined, work: Work): void {
  const { bind, params, transposeA, transposeB } = work;
  const { ADD, ...after } = work.epilogue;
  const { M, N, K, batch } = params;
  const shape: ProductShape = {
    M,
    N,
    K,
    transposeA,
    transposeB,
    // A split product is summed into the whole of C, so it makes neither a batch nor a part of C.
    epilogue: batch > 1 || bind.c.size !== M * N || Object.values(after).includes(true),
    aligned: aligned(params),
    halves: MATRICES.filter(name => bind[name].dtype === 'f16'),
  };
  const name = asked && runs(gpu, asked, shape) ? asked : choose(gpu, shape);
  const { parts } = FORMS[name];
  if (parts === 1) {
    dispatch(gpu, name, work);
    return;
  }
  // The parts of K are the entries of a batch, whose results are summed in order.
  const partial = empty(gpu, [parts, M, N]);
  const aBatch = (K / parts) * params.ak;
  const bBatch = (K / parts) * params.bk;
  const entries = { ...params, K: K / parts, batch: parts, aBatch, bBatch, c0: 0, cm: N, cBatch: M * N };
  const fresh = { ...work.epilogue, ADD: false };
  dispatch(gpu, name, { ...work, bind: { ...bind, c: partial }, params: entries, epilogue: fresh });
  sumRows(gpu, partial, { tensor: bind.c, beta: ADD ? 1 : 0 });
  partial.free();
}

function dispatch(gpu: Gpu, name: MatmulVariant, work: Work): void {
  const { bind, params, epilogue, transposeA, transposeB } = work;
  const { kernel, rows, columns } = FORMS[name];
  gpu.counts.flops += 2 * params.batch * params.M * params.N * params.K;
  const tiles = Math.ceil(params.M / rows) * Math.ceil(params.N / columns) * params.batch;
  if (kernel === 'matmul-tiled') {
    const fast = { A_K_FAST: !transposeA, B_N_FAST: !transposeB };
    const consts = { ...epilogue, RM: rows / 16, RN: columns / 16, ...fast };
    gpu.run('matmul-tiled', bind, params, { groups: tiles, consts, unroll: true });
    return;
  }
  // A tile every four lanes.
  const WG = lanes(gpu);
  const groups = Math.ceil(tiles / (WG / 4));
  const [MI, NJ] = [rows / 4, columns / 4];
  if (kernel === 'matmul-quad') {
    // LLVM keeps few values of k at once in its registers: one at a time is a quarter faster (docs/log.md).
    const consts = { WG, MI, NJ, KU: gpu.swiftshader ? 4 : 1, ...epilogue };
    gpu.run('matmul-quad', bind, params, { groups, consts, unroll: true });
    return;
  }
  const fours = { MB: Math.floor(MI / 4), NB: NJ / 4, A_M: transposeA, B_N: !transposeB };
  const consts = { WG, MI, NJ, ...fours, ...epilogue };
  gpu.run('matmul-quad-vec', bind, params, { groups, consts, unroll: true });
}

/** Rows and columns of a matrix, or of each of `batch`. */
export function matrixShape(tensor: Tensor, batch: number): [number, number] {
  const columns = tensor.shape.at(-1)!;
  return [tensor.size / columns / batch, columns];
}
