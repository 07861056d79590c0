// One matrix product on random data, in any of its variants, checked and timed. Knows products; knows no rule by which
// a variant wins (race.ts has them).
import { copy, fill } from '../../flat.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import { empty, read, type Tensor, upload } from '../../tensor.ts';
import {
  defaultVariant,
  type MatmulVariant,
  type Matrix,
  matmulForm,
  matmulVariants,
  type ProductShape,
  product,
} from '../product.ts';
import type { Contestant, Trial } from './race.ts';

/** Relative error allowed at K up to LONG; the rounding of a longer sum grows with its root. */
const TOLERANCE = 1e-5;
const LONG = 4096;
/** The same where the result is stored as f16, whose numbers have eleven bits. */
const HALF_TOLERANCE = 2 ** -10;
/** A shape of more operations or elements is measured on a part of it: sides are halved, the longest first. */
const MOST_FLOPS = { cpuRun: 2 ** 26, gpu: 2 ** 34 };
const MOST_ELEMENTS = 2 ** 23;
/** Sides are cut to multiples of this, which every tile divides. */
const GRAIN = 64;

/** The product of `shape` under test; the first contestant is what the device runs by default. */
export class ProductTrial implements Trial {
  readonly contestants: readonly Contestant[];
  /** How many times longer the whole shape takes than the part that is timed. */
  readonly scale: number;
  readonly #gpu: Gpu;
  readonly #part: ProductShape;
  readonly #a: Tensor;
  readonly #b: Tensor;
  readonly #c: Tensor;
  /** What is read back: C, as f32. */
  readonly #read: Tensor;
  /** Freivalds' check: a vector [N] and, in double precision, A·(B·vector) [M]. */
  readonly #vector: Float64Array;
  readonly #expected: Float64Array;

  constructor(gpu: Gpu, shape: ProductShape) {
    const part = partOf(shape, gpu.cpuRun ? MOST_FLOPS.cpuRun : MOST_FLOPS.gpu);
    this.#gpu = gpu;
    this.#part = part;
    this.scale = flopsOf(shape) / flopsOf(part);
    this.contestants = contestants(gpu, shape, part);
    const { M, N, K, transposeA, transposeB } = part;
    const draw = draws();
    const a = Float32Array.from({ length: M * K }, draw);
    const b = Float32Array.from({ length: K * N }, draw);
    this.#vector = Float64Array.from({ length: N }, draw);
    const bVector = times(b, K, N, transposeB, this.#vector);
    this.#expected = times(a, M, K, transposeA, bVector);
    const half = (name: Matrix): boolean => shape.halves?.includes(name) ?? false;
    this.#a = stored(upload(gpu, a, transposeA ? [K, M] : [M, K]), half('a'));
    this.#b = stored(upload(gpu, b, transposeB ? [N, K] : [K, N]), half('b'));
    this.#read = empty(gpu, [M, N]);
    this.#c = half('c') ? empty(gpu, [M, N], 'f16') : this.#read;
  }

  /** Computes into memory full of NaN: an element that nothing writes is then seen, like any wrong one. */
  async passes(name: string): Promise<boolean> {
    const apart = this.#c !== this.#read;
    fill(this.#read, Number.NaN);
    if (apart) copy(this.#read, this.#c);
    this.#run(name);
    if (apart) copy(this.#c, this.#read);
    const { M, N, K } = this.#part;
    const sums = times(await read(this.#read), M, N, false, this.#vector);
    let error = 0;
    let largest = 0;
    for (let m = 0; m < M; m++) {
      const difference = Math.abs(sums[m]! - this.#expected[m]!);
      error = Math.max(error, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
      largest = Math.max(largest, Math.abs(this.#expected[m]!));
    }
    const tolerance = apart ? HALF_TOLERANCE : TOLERANCE * Math.max(1, Math.sqrt(K / LONG));
    return error <= tolerance * largest;
  }

  async time(name: string, calls: number): Promise<number> {
    this.#gpu.submit();
    const start = performance.now();
    for (let i = 0; i < calls; i++) this.#run(name);
    await this.#gpu.finish();
    return performance.now() - start;
  }

  free(): void {
    for (const tensor of [this.#a, this.#b, this.#c, this.#read]) tensor.free();
  }

  #run(name: string): void {
    const { transposeA, transposeB } = this.#part;
    const A = { matrix: this.#a, transposed: transposeA };
    const B = { matrix: this.#b, transposed: transposeB };
    product(this.#gpu, A, B, { tensor: this.#c, beta: 0 }, { variant: name as MatmulVariant });
  }
}

/** Multiplications and additions of a product. */
export function flopsOf({ M, N, K }: ProductShape): number {
  return 2 * M * N * K;
}

/** The default, then variants of its kernel from like tiles to unlike ones, then those of the other kernels. */
function contestants(gpu: Gpu, shape: ProductShape, part: ProductShape): Contestant[] {
  const runs = new Set(matmulVariants(gpu, part));
  const first = contestant(defaultVariant(gpu, shape), shape);
  const unlike = ({ name, kernel, size }: Contestant): number => {
    if (name === first.name) return 0;
    return 1 + Math.abs(Math.log2(size / first.size)) + (kernel === first.kernel ? 0 : 100);
  };
  return matmulVariants(gpu, shape)
    .filter(name => runs.has(name))
    .map(name => contestant(name, shape))
    .sort((a, b) => unlike(a) - unlike(b) || a.size - b.size);
}

function contestant(name: MatmulVariant, { transposeA, transposeB, halves = [] }: ProductShape): Contestant {
  const { kernel, rows, columns } = matmulForm(name);
  const transposes = kernel === 'matmul-quad' ? '' : ` ${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}`;
  const text = `${kernel} ${rows}x${columns}${transposes} ${halves.join('')}`;
  return { name, kernel, size: rows * columns, text };
}

function partOf(shape: ProductShape, mostFlops: number): ProductShape {
  let part = shape;
  const elements = ({ M, N, K }: ProductShape): number => M * K + K * N + M * N;
  while (flopsOf(part) > mostFlops || elements(part) > MOST_ELEMENTS) {
    const { M, N, K } = part;
    const side = K >= M && K >= N ? 'K' : M >= N ? 'M' : 'N';
    if (part[side] <= 2 * GRAIN) break;
    part = { ...part, [side]: Math.ceil(part[side] / 2 / GRAIN) * GRAIN };
  }
  return part;
}

/**
 * Uniform in [-1, 1), the same in every trial: the upper bits of a linear congruential generator (Numerical Recipes),
 * as many as f16 holds.
 */
function draws(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 21) / 2 ** 10 - 1;
  };
}

/** The tensor as it is, or its numbers as f16 in its place. */
function stored(tensor: Tensor, half: boolean): Tensor {
  if (!half) return tensor;
  const halves = empty(tensor.gpu, tensor.shape, 'f16');
  copy(tensor, halves);
  tensor.free();
  return halves;
}

/** A matrix [rows, columns], stored as it is or transposed, times a vector [columns]. */
function times(
  matrix: Float32Array,
  rows: number,
  columns: number,
  transposed: boolean,
  vector: Float64Array,
): Float64Array {
  const result = new Float64Array(rows);
  if (transposed) {
    for (let j = 0; j < columns; j++)
      for (let i = 0; i < rows; i++) result[i]! += matrix[j * rows + i]! * vector[j]!;
    return result;
  }
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += matrix[i * columns + j]! * vector[j]!;
    result[i] = sum;
  }
  return result;
}
