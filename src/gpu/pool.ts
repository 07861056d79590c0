// Keeps GPU buffers for reuse and counts bytes exactly. Knows sizes and usages; knows no shapes or kernels.
import { GpuOutOfMemoryError } from './errors.ts';

/** A pooled GPU buffer. `id` names it in caches; `bytes` is what was asked for, `capacity` what it holds. */
export interface PoolBuffer {
  readonly id: number;
  readonly gpu: GPUBuffer;
  readonly capacity: number;
  /** Written from the CPU ahead of recorded commands, so never shared with buffers that kernels write. */
  readonly upload: boolean;
}

export interface MemoryCount {
  /** Bytes asked for by tensors that are alive now. */
  live: number;
  /** The largest `live` has been (since `resetPeak`). */
  peak: number;
  /** Bytes of all buffers the pool holds, in use or waiting. */
  reserved: number;
  /** Buffers the pool holds. */
  buffers: number;
}

/** Runs `create` and turns a fault that the device reports for it into an exception of the next call. */
export type Watch = <T>(label: string, kind: GPUErrorFilter, create: () => T) => T;

/** Buffers are numbered over all devices: one device's cache must not take another's buffer for its own. */
let nextId = 1;

/** Rounds up to one of eight sizes an octave: at most an eighth of a buffer is lost, and few sizes occur. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - 3));
  return Math.ceil(bytes / step) * step;
}

/**
 * Buffers by size class. The last one freed is taken first, and after a submit the lowest numbers come first whatever
 * was freed when: a step of shapes that occurred before meets the buffers of then, and with them its bind groups.
 */
export class BufferPool {
  readonly memory: MemoryCount = { live: 0, peak: 0, reserved: 0, buffers: 0 };
  readonly #device: GPUDevice;
  readonly #free = { kernel: new Map<number, PoolBuffer[]>(), upload: new Map<number, PoolBuffer[]>() };
  readonly #waiting: PoolBuffer[] = [];
  #ordered = true;
  readonly #limit: number;
  readonly #watch: Watch;

  /** `limit`: bytes of the largest buffer. */
  constructor(device: GPUDevice, limit: number, watch: Watch) {
    this.#device = device;
    this.#limit = limit;
    this.#watch = watch;
  }

  /** A buffer of at least `bytes` with undefined contents. Throws GpuOutOfMemoryError over the device's limit. */
  take(bytes: number, upload = false): PoolBuffer {
    const capacity = Math.min(sizeClass(bytes), Math.max(bytes, this.#limit));
    const lists = upload ? this.#free.upload : this.#free.kernel;
    if (!this.#ordered) this.#order();
    const buffer = lists.get(capacity)?.pop() ?? this.#create(bytes, capacity, upload);
    this.memory.live += bytes;
    this.memory.peak = Math.max(this.memory.peak, this.memory.live);
    return buffer;
  }

  /**
   * Gives back a buffer taken with `bytes`. A kernel's buffer may be taken again at once, since commands run in
   * the order of their recording; an upload buffer waits for `submitted`, since a write from the CPU does not.
   */
  give(buffer: PoolBuffer, bytes: number): void {
    this.memory.live -= bytes;
    if (buffer.upload) this.#waiting.push(buffer);
    else push(this.#free.kernel, buffer);
  }

  /** All recorded commands are in the queue: upload buffers given back before may be written again. */
  submitted(): void {
    for (const buffer of this.#waiting.splice(0)) push(this.#free.upload, buffer);
    this.#ordered = false;
  }

  resetPeak(): void {
    this.memory.peak = this.memory.live;
  }

  /** Destroys every waiting buffer. The caller has submitted all recorded commands. */
  trim(): void {
    for (const lists of [this.#free.kernel, this.#free.upload]) {
      for (const buffer of [...lists.values()].flat()) {
        buffer.gpu.destroy();
        this.memory.reserved -= buffer.capacity;
        this.memory.buffers--;
      }
      lists.clear();
    }
  }

  #order(): void {
    for (const lists of [this.#free.kernel, this.#free.upload])
      for (const list of lists.values()) list.sort((a, b) => b.id - a.id);
    this.#ordered = true;
  }

  #create(bytes: number, capacity: number, upload: boolean): PoolBuffer {
    if (bytes > this.#limit)
      throw new GpuOutOfMemoryError(
        `a buffer of ${bytes} bytes is over this device's limit of ${this.#limit}`,
      );
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const gpu = this.#watch(`buffer of ${bytes} bytes`, 'out-of-memory', () =>
      this.#device.createBuffer({ label: `pool ${capacity} B`, size: capacity, usage }),
    );
    this.memory.reserved += capacity;
    this.memory.buffers++;
    return { id: nextId++, gpu, capacity, upload };
  }
}

function push(lists: Map<number, PoolBuffer[]>, buffer: PoolBuffer): void {
  const list = lists.get(buffer.capacity);
  if (list) list.push(buffer);
  else lists.set(buffer.capacity, [buffer]);
}
