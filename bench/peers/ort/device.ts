// ONNX Runtime's WebGPU provider as a device: sessions whose nodes all run there, tensors put there and read back, and
// a wait for its queue. Knows the runtime; knows no work.
import type { Ort, OrtTensor, Session, SessionOptions } from './api.ts';
import { Graph } from './onnx.ts';

/** The runtime has no call that copies, or that waits: a session that multiplies by 1 does both. */
function timesOne(): Graph {
  const graph = new Graph();
  graph.input({ name: 'x' });
  graph.add('Mul', ['x', graph.constant([1], Float32Array.of(1))], {}, 'y');
  graph.output({ name: 'y' });
  return graph;
}

export class OrtDevice {
  readonly #ort: Ort;
  readonly #upload: Session;
  readonly #download: Session;
  readonly #tiny: OrtTensor;

  static async open(ort: Ort): Promise<OrtDevice> {
    const upload = await create(ort, timesOne(), 'gpu-buffer', 'disabled');
    const download = await create(ort, timesOne(), 'cpu', 'disabled');
    const { y } = await upload.run({ x: new ort.Tensor('float32', Float32Array.of(1), [1]) });
    return new OrtDevice(ort, upload, download, y!);
  }

  private constructor(ort: Ort, upload: Session, download: Session, tiny: OrtTensor) {
    this.#ort = ort;
    this.#upload = upload;
    this.#download = download;
    this.#tiny = tiny;
  }

  /**
   * Outputs stay on the device, so that a run returns once it is queued, except those that are to come to the CPU:
   * for them it waits.
   */
  session(graph: Graph, elsewhere: Readonly<Record<string, 'cpu'>> = {}): Promise<Session> {
    const locations = Object.fromEntries(
      graph.outputs.map(({ name }) => [name, elsewhere[name] ?? ('gpu-buffer' as const)]),
    );
    return create(this.#ort, graph, locations, 'all');
  }

  async put(data: Float32Array, dims: readonly number[]): Promise<OrtTensor> {
    const { y } = await this.#upload.run({ x: new this.#ort.Tensor('float32', data, dims) });
    return y!;
  }

  /** Integers stay on the CPU until a run uploads them. */
  int64(data: readonly number[], dims: readonly number[]): OrtTensor {
    return new this.#ort.Tensor('int64', BigInt64Array.from(data.map(BigInt)), dims);
  }

  int32(data: readonly number[], dims: readonly number[]): OrtTensor {
    return new this.#ort.Tensor('int32', Int32Array.from(data), dims);
  }

  /** A tensor without elements. */
  none(dims: readonly number[]): OrtTensor {
    return new this.#ort.Tensor('float32', new Float32Array(0), dims);
  }

  async read(tensor: OrtTensor): Promise<Float32Array> {
    const { y } = await this.#download.run({ x: tensor });
    return y!.data as Float32Array;
  }

  /** Reads one number: the queue runs in order, so all that was queued before is done then. */
  async finish(): Promise<void> {
    await this.read(this.#tiny);
  }
}

function create(
  ort: Ort,
  graph: Graph,
  preferredOutputLocation: SessionOptions['preferredOutputLocation'],
  graphOptimizationLevel: SessionOptions['graphOptimizationLevel'],
): Promise<Session> {
  return ort.InferenceSession.create(graph.model(), {
    executionProviders: [{ name: 'webgpu' }],
    preferredOutputLocation,
    graphOptimizationLevel,
    logSeverityLevel: 3,
    // Else a node that the provider lacks would run on the CPU, and its time be taken for the GPU's.
    extra: { session: { disable_cpu_ep_fallback: '1' } },
  });
}
