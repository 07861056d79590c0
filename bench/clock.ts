// The two clocks of the bench: the device's own, by timestamps at the ends of a pass, and the wall's. Knows no kernels.
import type { Gpu } from '../src/gpu/gpu.ts';

export interface Elapsed {
  /** Milliseconds from the first recording until the device had nothing left to do. */
  readonly wall: number;
  /** Milliseconds inside the passes; the wall's where the adapter has no timestamps. */
  readonly device: number;
}

/** Passes that one measurement may have: a pass ends at a submit, and a submit takes up to 4,096 dispatches. */
const PASSES = 64;
const BYTES = 2 * PASSES * 8;

/**
 * Measures recorded work as a whole. All its dispatches share passes, as they do in a run: timestamps around each
 * would drain the device between them.
 */
export class Clock {
  /** Whether `device` is the device's own time. */
  readonly timestamps: boolean;
  readonly #gpu: Gpu;
  readonly #queries: GPUQuerySet | undefined;
  readonly #resolved: GPUBuffer | undefined;
  readonly #staging: GPUBuffer | undefined;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.timestamps = gpu.features.has('timestamp-query');
    if (!this.timestamps) return;
    const { device } = gpu;
    this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 * PASSES });
    this.#resolved = device.createBuffer({
      label: 'timestamps',
      size: BYTES,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    this.#staging = device.createBuffer({
      label: 'timestamps',
      size: BYTES,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
  }

  /** Runs what `record` records, with nothing recorded before it. */
  async time(record: () => void): Promise<Elapsed> {
    const gpu = this.#gpu;
    gpu.submit();
    const start = performance.now();
    const passes = this.#stampPasses(record);
    await gpu.finish();
    const wall = performance.now() - start;
    return { wall, device: passes === 0 ? wall : await this.#read(passes) };
  }

  /** Lets every pass that is recorded meanwhile write its timestamps; returns their number. */
  #stampPasses(record: () => void): number {
    const querySet = this.#queries;
    let passes = 0;
    if (querySet)
      this.#gpu.stampPass = () => {
        if (passes === PASSES) throw new Error(`more than ${PASSES} passes in one measurement`);
        const i = 2 * passes++;
        return { querySet, beginningOfPassWriteIndex: i, endOfPassWriteIndex: i + 1 };
      };
    try {
      record();
      this.#gpu.submit();
    } finally {
      this.#gpu.stampPass = undefined;
    }
    return passes;
  }

  async #read(passes: number): Promise<number> {
    const { device } = this.#gpu;
    const [queries, resolved, staging] = [this.#queries!, this.#resolved!, this.#staging!];
    const encoder = device.createCommandEncoder({ label: 'timestamps' });
    encoder.resolveQuerySet(queries, 0, 2 * passes, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16 * passes);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ, 0, 16 * passes);
    const stamps = new BigUint64Array(staging.getMappedRange(0, 16 * passes));
    let ms = 0;
    for (let i = 0; i < passes; i++) ms += Number(stamps[2 * i + 1]! - stamps[2 * i]!) / 1e6;
    staging.unmap();
    return ms;
  }
}
