// Measures each dispatch with timestamp queries, where the adapter has them. Knows passes and labels; knows no
// kernels. A device without a profiler pays nothing: dispatches then share one pass.

export interface KernelTime {
  readonly label: string;
  readonly calls: number;
  /** Milliseconds on the device, all calls together. */
  readonly ms: number;
}

/** Dispatches measured between two reads; more are not measured, and counted in `missed`. */
const CAPACITY = 2048;

export class Profiler {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #labels: string[] = [];
  readonly #totals = new Map<string, { calls: number; ms: number }>();
  missed = 0;

  /** Needs a device with the feature `timestamp-query`. */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 * CAPACITY });
    this.#resolved = device.createBuffer({
      label: 'timestamps',
      size: 16 * CAPACITY,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
  }

  /** Where the next pass writes its two timestamps; undefined when the capacity is used up. */
  next(label: string): GPUComputePassTimestampWrites | undefined {
    if (this.#labels.length === CAPACITY) {
      this.missed++;
      return undefined;
    }
    const i = this.#labels.push(label) - 1;
    return { querySet: this.#queries, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
  }

  /** Adds what was measured since the last call to the totals. Call after the passes were submitted. */
  async collect(): Promise<void> {
    const labels = this.#labels.splice(0);
    if (labels.length === 0) return;
    const bytes = 16 * labels.length;
    const staging = this.#device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = this.#device.createCommandEncoder({ label: 'timestamps' });
    encoder.resolveQuerySet(this.#queries, 0, 2 * labels.length, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, bytes);
    this.#device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(staging.getMappedRange());
    for (const [i, label] of labels.entries()) {
      const total = this.#totals.get(label) ?? { calls: 0, ms: 0 };
      total.calls++;
      total.ms += Number(times[2 * i + 1]! - times[2 * i]!) / 1e6;
      this.#totals.set(label, total);
    }
    staging.destroy();
  }

  /** Totals a kernel variant, the longest first. */
  times(): KernelTime[] {
    return [...this.#totals].map(([label, total]) => ({ label, ...total })).sort((a, b) => b.ms - a.ms);
  }

  destroy(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
  }
}
