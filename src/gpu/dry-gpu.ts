// A stand-in for the device on which a step is recorded and nothing runs, so that what it would dispatch can be
// counted for models and batches that no memory here would hold. Knows the part of Gpu that a training step uses;
// knows no op and no model.
import { Choices } from './choices.ts';
import { GpuOutOfMemoryError } from './errors.ts';
import type { Bindable, Gpu, GpuLimits, Launch, PoolBuffer } from './gpu.ts';
import { type Path, Profiler } from './profiler.ts';

/** What ops ask an adapter for when they choose kernels. */
export interface AdapterForm {
  readonly cpuRun: boolean;
  readonly swiftshader: boolean;
  readonly features: readonly string[];
}

/** Any real GPU: kernels with workgroup memory, a workgroup a row. */
export const REAL_GPU: AdapterForm = {
  cpuRun: false,
  swiftshader: false,
  features: ['subgroups', 'shader-f16', 'timestamp-query'],
};

/** What today's drivers give on laptops and more on larger GPUs; WebGPU promises 128 MiB and 256 MiB only. */
export const LIMITS: GpuLimits = {
  maxBinding: 2 ** 31 - 4,
  maxBuffer: 2 ** 32,
  maxGroups: 65_535,
  maxImmediate: 64,
};

export interface DryDispatch {
  readonly kernel: string;
  /** Scopes that were open, outermost first. */
  readonly path: Path;
  readonly params: Readonly<Record<string, number>>;
  readonly consts: Readonly<Record<string, number | boolean>>;
  /** Bytes that each binding spans, by variable name. */
  readonly bound: Readonly<Record<string, number>>;
  /** Operations of a matrix product, 2·M·N·K; 0 for other kernels. */
  readonly flops: number;
}

export class DryGpu {
  readonly dispatches: DryDispatch[] = [];
  readonly limits: GpuLimits;
  readonly device = { limits: { minStorageBufferOffsetAlignment: 256 } };
  readonly poison = false;
  readonly choices = new Choices();
  readonly counts = { dispatches: 0, submits: 0, flops: 0 };
  readonly cpuRun: boolean;
  readonly swiftshader: boolean;
  readonly features: ReadonlySet<string>;
  readonly profiler = new Profiler(undefined as unknown as GPUDevice);
  readonly pool: CountingPool;
  #flopsBefore = 0;

  constructor({ cpuRun, swiftshader, features }: AdapterForm, limits: GpuLimits = LIMITS) {
    this.cpuRun = cpuRun;
    this.swiftshader = swiftshader;
    this.features = new Set(features);
    this.limits = limits;
    this.pool = new CountingPool(limits.maxBuffer);
  }

  /** This object under the type that the engine asks for. A training step touches no more of a Gpu than is here. */
  get gpu(): Gpu {
    return this as unknown as Gpu;
  }

  run(
    kernel: string,
    bind: Readonly<Record<string, Bindable>>,
    params: Readonly<Record<string, number>>,
    { consts = {} }: Launch,
  ): void {
    const bound: Record<string, number> = {};
    for (const [name, { range }] of Object.entries(bind)) {
      bound[name] = range.size;
      if (range.size > this.limits.maxBinding)
        throw new GpuOutOfMemoryError(`binding "${name}" of ${range.size} bytes is over the limit`, kernel);
    }
    const flops = this.counts.flops - this.#flopsBefore;
    this.#flopsBefore = this.counts.flops;
    this.counts.dispatches++;
    this.dispatches.push({ kernel, path: this.profiler.path, params, consts, bound, flops });
  }

  scope<T>(name: string, work: () => T): T {
    return this.profiler.scope(name, work);
  }

  write(): void {}

  submit(): void {
    this.counts.submits++;
  }
}

/** Counts bytes as src/gpu/pool.ts does, and holds none. */
class CountingPool {
  readonly memory = { live: 0, peak: 0 };
  readonly #limit: number;
  #nextId = 1;

  /** `limit`: bytes of the largest buffer. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  take(bytes: number, upload = false): PoolBuffer {
    if (bytes > this.#limit) throw new GpuOutOfMemoryError(`a buffer of ${bytes} bytes is over the limit`);
    this.memory.live += bytes;
    this.memory.peak = Math.max(this.memory.peak, this.memory.live);
    return { id: this.#nextId++, gpu: undefined as unknown as GPUBuffer, capacity: bytes, upload };
  }

  give(_buffer: PoolBuffer, bytes: number): void {
    this.memory.live -= bytes;
  }

  resetPeak(): void {
    this.memory.peak = this.memory.live;
  }
}
