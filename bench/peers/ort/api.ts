// The part of ONNX Runtime's Node package that the bench calls, as types: the package need not be installed.

export interface OrtTensor {
  readonly dims: readonly number[];
  readonly location: 'cpu' | 'gpu-buffer';
  /** Only where `location` is cpu. */
  readonly data: Float32Array | Int32Array | BigInt64Array;
  dispose(): void;
}

export type Feeds = Readonly<Record<string, OrtTensor>>;

export interface Session {
  run(feeds: Feeds): Promise<Record<string, OrtTensor>>;
  release(): Promise<void>;
}

export interface SessionOptions {
  readonly executionProviders: readonly [{ readonly name: 'webgpu' }];
  /** Of all outputs, or by name. */
  readonly preferredOutputLocation: OrtTensor['location'] | Readonly<Record<string, OrtTensor['location']>>;
  readonly graphOptimizationLevel: 'all' | 'disabled';
  /** 3: errors and worse. */
  readonly logSeverityLevel: 3 | 4;
  readonly extra?: { readonly session: Readonly<Record<string, string>> };
}

export interface Ort {
  readonly InferenceSession: { create(model: Uint8Array, options: SessionOptions): Promise<Session> };
  readonly Tensor: {
    new (type: 'float32', data: Float32Array, dims: readonly number[]): OrtTensor;
    new (type: 'int32', data: Int32Array, dims: readonly number[]): OrtTensor;
    new (type: 'int64', data: BigInt64Array, dims: readonly number[]): OrtTensor;
  };
}
