// The part of jax-js that the bench calls, as types: the package need not be installed.
//
// Every function takes ownership of its arrays: an array that is used again is passed as `x.ref`.

export interface JaxArray {
  /** The same array with one more owner. */
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  sum(axis?: number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  /** Dispatches what the array waits for and waits for nothing. An owner less, as everywhere. */
  gpuBufferSync(): GPUBuffer;
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface Numpy {
  array(data: Float32Array, options: { shape: readonly number[] }): JaxArray;
  matmul(a: JaxArray, b: JaxArray): JaxArray;
  matrixTranspose(a: JaxArray): JaxArray;
  sqrt(x: JaxArray): JaxArray;
  square(x: JaxArray): JaxArray;
  split(x: JaxArray, parts: number | readonly number[], axis: number): JaxArray[];
  concatenate(arrays: readonly JaxArray[], axis: number): JaxArray;
  where(condition: JaxArray, a: JaxArray | number, b: JaxArray | number): JaxArray;
  arange(size: number): JaxArray;
  equal(a: JaxArray, b: JaxArray | number): JaxArray;
  lessEqual(a: JaxArray, b: JaxArray | number): JaxArray;
  zeros(shape: readonly number[]): JaxArray;
  argmax(x: JaxArray, axis: number): JaxArray;
}

interface Nn {
  standardize(x: JaxArray, axis: number, options: { epsilon: number }): JaxArray;
  softmax(x: JaxArray, axis: number): JaxArray;
  logSoftmax(x: JaxArray, axis: number): JaxArray;
  gelu(x: JaxArray, options: { approximate: boolean }): JaxArray;
  oneHot(x: JaxArray, classes: number): JaxArray;
  dotProductAttention(
    q: JaxArray,
    k: JaxArray,
    v: JaxArray,
    options: { isCausal?: boolean; mask?: JaxArray },
  ): JaxArray;
}

export interface Jax {
  readonly numpy: Numpy;
  readonly nn: Nn;
  init(device: 'webgpu'): Promise<string[]>;
  defaultDevice(device: 'webgpu'): string;
  getWebGPUDevice(): GPUDevice;
  /** Compiles `f` on its first call; its arguments and result are arrays in nested records and lists. */
  jit<F extends (...inputs: never[]) => unknown>(f: F): F & { dispose(): void };
  /** The value of `f` and what maps a gradient of it to those of its arguments. */
  vjp(
    f: (...inputs: JaxArray[]) => JaxArray,
    primals: readonly JaxArray[],
  ): [JaxArray, ((dy: JaxArray) => JaxArray[]) & { dispose(): void }];
  valueAndGrad<P>(f: (parameters: P) => JaxArray): (parameters: P) => [JaxArray, P];
  readonly tree: { ref<T>(tree: T): T; dispose(tree: unknown): void };
}
