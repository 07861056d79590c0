// The part of TensorFlow.js that the bench calls, as types: the package need not be installed.

export interface Tensor {
  readonly shape: readonly number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}

export interface Variable extends Tensor {
  assign(value: Tensor): void;
}

export interface Optimizer {
  applyGradients(gradients: readonly { readonly name: string; readonly tensor: Tensor }[]): void;
  dispose(): void;
}

export interface Tfjs {
  readonly losses: { softmaxCrossEntropy(onehot: Tensor, logits: Tensor): Tensor };
  readonly train: { adam(lr: number, beta1: number, beta2: number, epsilon: number): Optimizer };
  removeBackend(name: string): void;
  registerBackend(name: string, create: () => WebGpuBackend, priority: number): boolean;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;

  tensor(values: Float32Array, shape: readonly number[]): Tensor;
  tensor(values: Int32Array, shape: readonly number[], dtype: 'int32'): Tensor;
  variable(initial: Tensor, trainable: boolean, name: string): Variable;
  dispose(tensors: readonly Tensor[]): void;
  tidy<R>(work: () => R): R;

  add(a: Tensor, b: Tensor | number): Tensor;
  sub(a: Tensor, b: Tensor | number): Tensor;
  mul(a: Tensor, b: Tensor | number): Tensor;
  square(x: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
  tanh(x: Tensor): Tensor;
  mean(x: Tensor, axis: number, keepDims: boolean): Tensor;
  softmax(x: Tensor): Tensor;
  argMax(x: Tensor, axis: number): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  transpose(x: Tensor, order: readonly number[]): Tensor;
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  split(x: Tensor, parts: number, axis: number): Tensor[];
  concat(tensors: readonly Tensor[], axis: number): Tensor;
  gather(x: Tensor, indices: Tensor): Tensor;

  grads(f: (...inputs: Tensor[]) => Tensor): (inputs: readonly Tensor[], dy?: Tensor) => Tensor[];
  valueAndGrad(f: (x: Tensor) => Tensor): (x: Tensor) => { readonly value: Tensor; readonly grad: Tensor };
  variableGrads(f: () => Tensor): {
    readonly value: Tensor;
    readonly grads: Readonly<Record<string, Tensor>>;
  };
}

export interface WebGpuBackend {
  endComputePassEncoder(): void;
  submitQueue(): void;
  readonly commandEncoder: GPUCommandEncoder | null;
}

export interface WebGpuBackendModule {
  readonly WebGPUBackend: new (device: GPUDevice, info: GPUAdapterInfo) => WebGpuBackend;
}
