// Measures each dispatch with timestamp queries, where the adapter has them, and remembers what it was for: the scopes
// that were open when it was recorded. Knows passes and names; knows no kernels. A device without a profiler pays
// nothing: dispatches then share one pass.

/** Names of open scopes, outermost first. */
export type Path = readonly string[];

/** What is known of a dispatch when it is recorded. */
export interface Recorded {
  /** The kernel variant. */
  readonly label: string;
  readonly path: Path;
  /** Workgroups along x, y, z. */
  readonly groups: readonly [number, number, number];
  readonly params: Readonly<Record<string, number>>;
  /** Operations counted for it: those of matrix products. */
  readonly flops: number;
}

/** A dispatch and its time on the device's clock, in milliseconds; that clock has a zero of its own. */
export interface Dispatch extends Recorded {
  readonly start: number;
  readonly end: number;
}

/** From when on which scopes were open while commands were recorded: milliseconds on the clock of `performance.now`. */
export interface Moment {
  readonly at: number;
  readonly path: Path;
}

export interface Collected {
  readonly dispatches: Dispatch[];
  readonly moments: Moment[];
}

export interface KernelTime {
  readonly label: string;
  readonly calls: number;
  /** Milliseconds on the device, all calls together. */
  readonly ms: number;
}

/** Dispatches that one set of queries measures: WebGPU allows 4,096 queries in a set, and a dispatch takes two. */
const CAPACITY = 2048;
const BYTES = 16;

interface QuerySet {
  readonly queries: GPUQuerySet;
  readonly resolved: GPUBuffer;
}

export class Profiler {
  /** False stops measuring: dispatches then share one pass again. */
  enabled = true;
  readonly #device: GPUDevice;
  readonly #sets: QuerySet[] = [];
  readonly #totals = new Map<string, { calls: number; ms: number }>();
  readonly #waiting: Recorded[] = [];
  readonly #moments: Moment[] = [];
  #path: Path = [];
  /** The first timestamp read: others are given from there, as nanoseconds since boot exceed a double's digits. */
  #zero: bigint | undefined;

  /** Needs a device with the feature `timestamp-query`. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** The scopes that are open. */
  get path(): Path {
    return this.#path;
  }

  /** Runs `work` in a scope `name` inside those that are open. */
  scope<T>(name: string, work: () => T): T {
    const outer = this.#path;
    this.#enter([...outer, name]);
    try {
      return work();
    } finally {
      this.#enter(outer);
    }
  }

  /**
   * Runs `work` in the open scopes and, inside them, the part of `path` that lies deeper: a `backward` that is open
   * where `forward` was takes its place, and the rest is the forward pass's. What is done until the next scope
   * opens or closes counts as part of `work`, so that the nodes of a tape, resumed one by one, are not apart.
   */
  resume<T>(path: Path, work: () => T): T {
    const outer = this.#path;
    this.#enter([...outer, ...path.slice(outer.length)]);
    try {
      return work();
    } finally {
      this.#path = outer;
    }
  }

  /** Where the next pass, of one dispatch, writes its two timestamps. */
  next(dispatch: Omit<Recorded, 'path'>): GPUComputePassTimestampWrites {
    const at = this.#waiting.push({ ...dispatch, path: this.#path }) - 1;
    const { queries } = this.#set(Math.floor(at / CAPACITY));
    const i = at % CAPACITY;
    return { querySet: queries, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
  }

  /** What was measured since the last call, in order. Call after the passes were submitted. */
  async collect(): Promise<Collected> {
    const moments = this.#moments.splice(0);
    const waiting = this.#waiting.splice(0);
    return { dispatches: waiting.length > 0 ? await this.#read(waiting) : [], moments };
  }

  /** Totals a kernel variant of all that was collected, the longest first. */
  times(): KernelTime[] {
    return [...this.#totals].map(([label, total]) => ({ label, ...total })).sort((a, b) => b.ms - a.ms);
  }

  destroy(): void {
    for (const { queries, resolved } of this.#sets) {
      queries.destroy();
      resolved.destroy();
    }
  }

  #enter(path: Path): void {
    this.#path = path;
    this.#moments.push({ at: performance.now(), path });
  }

  async #read(waiting: readonly Recorded[]): Promise<Dispatch[]> {
    const staging = this.#device.createBuffer({
      size: BYTES * waiting.length,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = this.#device.createCommandEncoder({ label: 'timestamps' });
    for (let from = 0; from < waiting.length; from += CAPACITY) {
      const { queries, resolved } = this.#set(from / CAPACITY);
      const count = Math.min(CAPACITY, waiting.length - from);
      encoder.resolveQuerySet(queries, 0, 2 * count, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, BYTES * from, BYTES * count);
    }
    this.#device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(staging.getMappedRange());
    this.#zero ??= stamps[0]!;
    const zero = this.#zero;
    const at = (i: number): number => Number(stamps[i]! - zero) / 1e6;
    const dispatches = waiting.map((dispatch, i) => ({ ...dispatch, start: at(2 * i), end: at(2 * i + 1) }));
    staging.destroy();
    for (const { label, start, end } of dispatches) {
      const { calls, ms } = this.#totals.get(label) ?? { calls: 0, ms: 0 };
      this.#totals.set(label, { calls: calls + 1, ms: ms + end - start });
    }
    return dispatches;
  }

  #set(index: number): QuerySet {
    this.#sets[index] ??= {
      queries: this.#device.createQuerySet({ type: 'timestamp', count: 2 * CAPACITY }),
      resolved: this.#device.createBuffer({
        label: 'timestamps',
        size: BYTES * CAPACITY,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      }),
    };
    return this.#sets[index];
  }
}
