// The device: records dispatches, submits them, reads back, and turns the device's faults into exceptions.
// Knows buffers by range and kernels by name; knows no shapes, no ops. Each Gpu stands alone: two in one process work.
import { Choices } from './choices.ts';
import { GpuError, GpuLostError, GpuOutOfMemoryError, GpuValidationError } from './errors.ts';
import { type Bindable, type DType, Kernels, type Range } from './kernels.ts';
import { BufferPool, type PoolBuffer, type Watch } from './pool.ts';
import { Profiler } from './profiler.ts';
import type { Constants } from './shader.ts';
import { packParams, UniformArena } from './uniforms.ts';

export interface GpuLimits {
  /** Bytes that one binding may span. */
  readonly maxBinding: number;
  /** Bytes of the largest buffer. */
  readonly maxBuffer: number;
  /** Workgroups along one dimension of a grid. */
  readonly maxGroups: number;
  /** Bytes of parameters that a dispatch may have as immediates, which are set in the pass; 0 where there are none. */
  readonly maxImmediate: number;
}

export interface GpuOptions {
  /** WGSL texts by kernel name. */
  readonly shaders: ReadonlyMap<string, string>;
  /** Lower limits than the adapter's, for tests of what happens at a limit. */
  readonly limits?: Partial<GpuLimits>;
  /** Fills every new tensor with NaN, for tests: a kernel that reads what it did not write is then seen. */
  readonly poison?: boolean;
  /** Measures each kernel, where the adapter has timestamp queries. */
  readonly profile?: boolean;
}

/** How a kernel is run: workgroups (a number is folded into a grid), and the variant. */
export interface Launch {
  readonly groups: number | readonly [number, number, number];
  readonly consts?: Constants;
  readonly unroll?: boolean;
}

const WANTED_FEATURES = ['subgroups', 'timestamp-query', 'shader-f16'] as const;
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxImmediateSize',
] as const;

const NO_HALVES: readonly string[] = [];
const NO_CONSTANTS: Constants = {};

/** More than any kernel's parameters take; what devices have as immediates is 64 today. */
const IMMEDIATE_BYTES = 256;

/**
 * Faults by how much they explain, least first. One that is reported later may be the cause of one reported earlier:
 * an invalid buffer or pipeline makes the commands that use it invalid, a compile error makes its pipeline so.
 */
const CAUSE = { command: 0, creation: 1, compile: 2, lost: 3 } as const;

/** Opens a device on `adapter`, with every feature and limit of it that the kernels can use. */
export async function openGpu(adapter: GPUAdapter, options: GpuOptions): Promise<Gpu> {
  const requiredFeatures = WANTED_FEATURES.filter(feature => adapter.features.has(feature));
  const requiredLimits = Object.fromEntries(
    WANTED_LIMITS.filter(name => adapter.limits[name] > 0).map(name => [name, adapter.limits[name]]),
  );
  const device = await adapter.requestDevice({ label: 'mentalese', requiredFeatures, requiredLimits });
  return new Gpu(device, adapter.info, options);
}

/** Bytes of the largest buffer for reading back that is kept for the next read. */
const STAGING_KEPT = 2 ** 24;

export class Gpu {
  readonly device: GPUDevice;
  readonly info: GPUAdapterInfo;
  readonly limits: GpuLimits;
  readonly features: ReadonlySet<string>;
  /** The adapter runs on the CPU (SwiftShader, llvmpipe): registers are cheap there, barriers dear. */
  readonly cpuRun: boolean;
  /** The CPU runs it through SwiftShader, whose compiler is quick and simple; the others use LLVM. */
  readonly swiftshader: boolean;
  readonly poison: boolean;
  readonly pool: BufferPool;
  readonly profiler: Profiler | undefined;
  /** Kernel variants that were chosen for this device. */
  readonly choices = new Choices();
  /**
   * Since the device was opened: dispatches recorded, submits made, operations of matrix products (2·M·N·K each, which
   * are counted before their dispatch is recorded).
   */
  readonly counts = { dispatches: 0, submits: 0, flops: 0 };
  /** Asked at the beginning of each pass that dispatches share for where it writes its timestamps: the bench's clock. */
  stampPass: (() => GPUComputePassTimestampWrites) | undefined;
  readonly #kernels: Kernels;
  /** Parameters of kernels that cannot have them as immediates. */
  #arena: UniformArena | undefined;
  /** Parameters of the dispatch that is being recorded, where it has them as immediates. */
  readonly #immediates = new DataView(new ArrayBuffer(IMMEDIATE_BYTES));
  readonly #staging = new Map<number, GPUBuffer[]>();
  readonly #checks = new Set<Promise<void>>();
  /** Waits of readers, which `settle` does not wait for: one read must not wait for a later one. */
  readonly #waits = new Set<Promise<void>>();
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  /** counts.flops at the last dispatch: what was counted since belongs to the next one. */
  #flopsBefore = 0;
  #failure: { readonly error: GpuError; readonly cause: number } | undefined;

  constructor(device: GPUDevice, info: GPUAdapterInfo, options: GpuOptions) {
    this.device = device;
    this.info = info;
    this.features = new Set(device.features);
    const names = `${info.architecture} ${info.device} ${info.description}`;
    this.cpuRun = /swiftshader|llvmpipe|lavapipe|warp/i.test(names);
    this.swiftshader = /swiftshader/i.test(names);
    this.poison = options.poison ?? false;
    this.limits = {
      maxBinding: Math.min(
        device.limits.maxStorageBufferBindingSize,
        2 ** 32 - 4,
        options.limits?.maxBinding ?? Infinity,
      ),
      maxBuffer: Math.min(device.limits.maxBufferSize, options.limits?.maxBuffer ?? Infinity),
      maxGroups: Math.min(
        device.limits.maxComputeWorkgroupsPerDimension,
        options.limits?.maxGroups ?? Infinity,
      ),
      maxImmediate: Math.min(
        device.limits.maxImmediateSize ?? 0,
        IMMEDIATE_BYTES,
        options.limits?.maxImmediate ?? Infinity,
      ),
    };
    const watch: Watch = (label, kind, create) => this.#watch(label, kind, create);
    this.pool = new BufferPool(device, this.limits.maxBuffer, watch);
    this.#kernels = new Kernels(
      device,
      options.shaders,
      this.limits.maxImmediate,
      watch,
      error => this.#fail(error, CAUSE.compile),
      check => this.#later(check),
    );
    this.profiler =
      options.profile && this.features.has('timestamp-query') ? new Profiler(device) : undefined;
    device.lost.then(({ message }) => {
      this.#fail(new GpuLostError(`the device was lost: ${message || 'no reason given'}`), CAUSE.lost);
    });
    device.addEventListener('uncapturederror', event => {
      event.preventDefault();
      const { error } = event as GPUUncapturedErrorEvent;
      const kernel = /ComputePipeline "([^"]+)"|BindGroup "([^"]+)"/.exec(error.message);
      this.#fail(namedError(error, kernel?.[1] ?? kernel?.[2]), CAUSE.command);
    });
  }

  /** Number of kernel variants compiled so far. */
  get compiled(): number {
    return this.#kernels.compiled;
  }

  /** The text of shaders/`name`.wgsl, as this device was given it. */
  shader(name: string): string | undefined {
    return this.#kernels.source(name);
  }

  /**
   * Records one dispatch of shaders/`name`.wgsl: tensors bound by variable name, parameters by member name.
   * Throws GpuError (named) for an unknown kernel, binding or parameter, and for any earlier fault of the device.
   */
  run(
    name: string,
    bind: Readonly<Record<string, Bindable>>,
    params: Readonly<Record<string, number>>,
    how: Launch,
  ): void {
    if (this.#failure) throw this.#failure.error;
    if (this.#arena?.full) this.submit();
    let halves = NO_HALVES;
    for (const key in bind) {
      const { dtype, range } = bind[key]!;
      if (dtype === 'f16') halves = [...halves, key];
      if (range.size > this.limits.maxBinding)
        throw new GpuOutOfMemoryError(
          `binding "${key}" of ${range.size} bytes is over the limit of ${this.limits.maxBinding}`,
          name,
        );
    }
    const kernel = this.#kernels.get(name, how.consts ?? NO_CONSTANTS, how.unroll ?? false, halves);
    const { immediate, reflection, label } = kernel;
    const arena = immediate || reflection.uniformSize === 0 ? undefined : this.#uniforms();
    const group = this.#kernels.group(kernel, bind, arena?.buffer);
    const offset = arena?.pack(label, reflection, params);
    if (!arena) packParams(label, reflection, params, this.#immediates, 0);
    const [x, y, z] =
      typeof how.groups === 'number' ? foldGrid(how.groups, this.limits.maxGroups) : how.groups;
    if (Math.max(x, y, z) > this.limits.maxGroups)
      throw new GpuValidationError(
        `a grid of ${x}×${y}×${z} workgroups is over the limit of ${this.limits.maxGroups}`,
        kernel.label,
      );
    const pass = this.profiler?.enabled
      ? this.#measuredPass(this.profiler, kernel.label, [x, y, z], params)
      : this.#sharedPass();
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, group, offset === undefined ? [] : [offset]);
    if (immediate) pass.setImmediates(0, this.#immediates.buffer, 0, reflection.uniformSize);
    pass.dispatchWorkgroups(x, y, z);
    if (this.profiler?.enabled) this.#endPass();
    this.counts.dispatches++;
    this.#flopsBefore = this.counts.flops;
  }

  /**
   * Runs `work`, and files what it dispatches under `name` where the device is profiled. Scopes nest; what the tape
   * runs backward is filed as its forward pass was.
   */
  scope<T>(name: string, work: () => T): T {
    return this.profiler?.enabled ? this.profiler.scope(name, work) : work();
  }

  /** Sends everything recorded to the device. Cheap when nothing is recorded. */
  submit(): void {
    if (this.#failure) throw this.#failure.error;
    const encoder = this.#encoder;
    this.#endPass();
    this.#encoder = undefined;
    if (encoder) {
      this.#arena?.flush(this.device.queue);
      this.device.queue.submit([encoder.finish()]);
      this.counts.submits++;
    }
    this.pool.submitted();
  }

  /**
   * Copies `data` into a range; commands recorded before see the old contents, later ones the new. With `unused` the
   * caller says that no recorded command uses the range, which saves a submit.
   */
  write(range: Range, data: Float32Array | Uint32Array | Int32Array, unused = false): void {
    if (this.#failure) throw this.#failure.error;
    if (!unused) this.submit();
    this.device.queue.writeBuffer(
      range.buffer.gpu,
      range.offset,
      data.buffer,
      data.byteOffset,
      data.byteLength,
    );
  }

  /**
   * Bytes of a range after all commands recorded so far. Submits at once and waits only when awaited, so a
   * value may be asked for now and looked at some steps later. Rejects with the device's fault, if it has one.
   */
  async read(range: Range): Promise<ArrayBuffer> {
    const size = Math.ceil(range.size / 4) * 4;
    const staging = this.#takeStaging(size);
    this.#endPass();
    this.#encoder ??= this.device.createCommandEncoder({ label: 'mentalese' });
    this.#encoder.copyBufferToBuffer(range.buffer.gpu, range.offset, staging, 0, size);
    this.submit();
    await this.#reached(staging.mapAsync(GPUMapMode.READ, 0, size), 'read-back');
    const bytes = staging.getMappedRange(0, size).slice(0, range.size);
    staging.unmap();
    this.#giveStaging(staging);
    await this.settle();
    return bytes;
  }

  /** Waits for the queue to drain, and throws the device's fault, if it has one. */
  async finish(): Promise<void> {
    this.submit();
    await this.#reached(this.device.queue.onSubmittedWorkDone(), 'queue');
    await this.settle();
  }

  /** Waits for reports of commands already made, and throws the first fault among them. */
  async settle(): Promise<void> {
    while (this.#checks.size > 0) await Promise.all(this.#checks);
    if (this.#failure) throw this.#failure.error;
  }

  /** Destroys waiting buffers and forgets what named them. */
  trim(): void {
    this.submit();
    this.#kernels.forgetGroups();
    this.pool.trim();
  }

  /**
   * Ends the device. Every tensor on it is gone, and what waits for it fails. Resolves once nothing of the device is
   * pending; what it was made from must stay until then.
   */
  async destroy(): Promise<void> {
    this.#fail(new GpuLostError('the device was closed'), CAUSE.lost);
    this.profiler?.destroy();
    this.device.destroy();
    await this.device.lost;
    while (this.#checks.size + this.#waits.size > 0) await Promise.all([...this.#checks, ...this.#waits]);
  }

  /** Made for the first kernel that needs it: where parameters are immediates, none does. */
  #uniforms(): UniformArena {
    this.#arena ??= new UniformArena(this.device);
    return this.#arena;
  }

  /** The pass of all dispatches that are not measured one by one. */
  #sharedPass(): GPUComputePassEncoder {
    this.#encoder ??= this.device.createCommandEncoder({ label: 'mentalese' });
    if (!this.#pass) {
      const timestampWrites = this.stampPass?.();
      this.#pass = this.#encoder.beginComputePass({
        label: 'mentalese',
        ...(timestampWrites && { timestampWrites }),
      });
    }
    return this.#pass;
  }

  /** A pass of its own for one dispatch: timestamps are written where passes begin and end. */
  #measuredPass(
    profiler: Profiler,
    label: string,
    groups: readonly [number, number, number],
    params: Readonly<Record<string, number>>,
  ): GPUComputePassEncoder {
    this.#endPass();
    this.#encoder ??= this.device.createCommandEncoder({ label: 'mentalese' });
    const flops = this.counts.flops - this.#flopsBefore;
    const timestampWrites = profiler.next({ label, groups, params, flops });
    this.#pass = this.#encoder.beginComputePass({ label, timestampWrites });
    return this.#pass;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  /** Staging buffers are kept by size and used in turn, so that a read never waits for an earlier one. */
  #takeStaging(size: number): GPUBuffer {
    const rounded = 2 ** Math.ceil(Math.log2(Math.max(size, 256)));
    const capacity = Math.min(rounded, Math.max(size, this.limits.maxBuffer));
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return (
      this.#staging.get(capacity)?.pop() ??
      this.device.createBuffer({ label: `staging ${capacity} B`, size: capacity, usage })
    );
  }

  /** Large ones are for checkpoints, which are rare: kept, they would be a second copy of all weights. */
  #giveStaging(buffer: GPUBuffer): void {
    if (buffer.size > STAGING_KEPT) {
      buffer.destroy();
      return;
    }
    const waiting = this.#staging.get(buffer.size) ?? [];
    this.#staging.set(buffer.size, waiting);
    waiting.push(buffer);
  }

  #watch<T>(label: string, kind: GPUErrorFilter, create: () => T): T {
    this.device.pushErrorScope(kind);
    const made = create();
    this.#later(
      this.device.popErrorScope().then(
        error => {
          if (error) this.#fail(namedError(error, label), CAUSE.creation);
        },
        () => {}, // The device is gone; its loss is reported by itself.
      ),
    );
    return made;
  }

  /** Keeps the fault to throw: the first of the deepest cause. */
  #fail(error: GpuError, cause: number): void {
    if (!this.#failure || cause > this.#failure.cause) this.#failure = { error, cause };
  }

  /** Waits for `done`; where that fails, throws the device's fault, or else one that names `what`. */
  async #reached(done: Promise<void>, what: string): Promise<void> {
    try {
      await this.#wait(done);
    } catch (error) {
      await this.settle();
      throw new GpuError(String(error), what);
    }
  }

  #wait(done: Promise<void>): Promise<void> {
    const ended = done
      .then(
        () => {},
        () => {}, // The reader is told; here it only counts that nothing is pending any more.
      )
      .finally(() => this.#waits.delete(ended));
    this.#waits.add(ended);
    return done;
  }

  #later(check: Promise<void>): void {
    this.#checks.add(check);
    check.finally(() => this.#checks.delete(check));
  }
}

/** A near-square grid of at least `groups` workgroups: kernels read their index as x + y * (groups along x). */
export function foldGrid(groups: number, most: number): [number, number, number] {
  if (groups <= most) return [groups, 1, 1];
  const y = Math.ceil(groups / most);
  return [Math.ceil(groups / y), y, 1];
}

function namedError(error: GPUError, kernel?: string): GpuError {
  const { message } = error;
  // The class names are globals in browsers and Node alike; by name, since two Dawn modules would differ.
  switch (error.constructor.name) {
    case 'GPUOutOfMemoryError':
      return new GpuOutOfMemoryError(message, kernel);
    case 'GPUValidationError':
      return new GpuValidationError(message, kernel);
    default:
      return new GpuError(message, kernel);
  }
}

export type { Bindable, DType, PoolBuffer, Range };
