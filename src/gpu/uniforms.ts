// Packs the parameters of all recorded dispatches into one buffer, written once a submit. Knows reflected
// members by name; knows no kernels.
import type { Reflection } from './reflect.ts';

/** Dispatches whose parameters fit between two submits. */
const SLOTS = 4096;

export class UniformArena {
  readonly buffer: GPUBuffer;
  readonly #stride: number;
  readonly #bytes: ArrayBuffer;
  readonly #view: DataView;
  #used = 0;

  constructor(device: GPUDevice) {
    this.#stride = device.limits.minUniformBufferOffsetAlignment;
    this.#bytes = new ArrayBuffer(SLOTS * this.#stride);
    this.#view = new DataView(this.#bytes);
    this.buffer = device.createBuffer({
      label: 'uniform arena',
      size: SLOTS * this.#stride,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
  }

  get full(): boolean {
    return this.#used === SLOTS;
  }

  /** Packs one dispatch's parameters into the next slot; returns its dynamic offset. Throws as `packParams` does. */
  pack(label: string, reflection: Reflection, params: Readonly<Record<string, number>>): number {
    if (reflection.uniformSize > this.#stride)
      throw new Error(`${label}: parameters of ${reflection.uniformSize} bytes exceed ${this.#stride}`);
    const at = this.#used * this.#stride;
    packParams(label, reflection, params, this.#view, at);
    this.#used++;
    return at;
  }

  /** Queues the write of everything packed since the last call; the next submit then sees it. */
  flush(queue: GPUQueue): void {
    if (this.#used > 0) queue.writeBuffer(this.buffer, 0, this.#bytes, 0, this.#used * this.#stride);
    this.#used = 0;
  }
}

/** Writes `params` at the offsets that reflection read. Throws on a name missing or unknown, or a value of the wrong type. */
export function packParams(
  label: string,
  { members }: Reflection,
  params: Readonly<Record<string, number>>,
  view: DataView,
  at: number,
): void {
  for (const { name, offset, type } of members) {
    const value = params[name];
    if (value === undefined) throw new Error(`${label}: parameter "${name}" is missing`);
    if (type === 'f32') view.setFloat32(at + offset, value, true);
    else {
      const low = type === 'u32' ? 0 : -(2 ** 31);
      if (!Number.isInteger(value) || value < low || value >= low + 2 ** 32)
        throw new Error(`${label}: parameter "${name}" is ${value}, not a ${type}`);
      view.setInt32(at + offset, value, true);
    }
  }
  if (Object.keys(params).length === members.length) return;
  const unknown = Object.keys(params).filter(key => !members.some(member => member.name === key));
  throw new Error(`${label}: the shader has no parameter "${unknown.join('", "')}"`);
}
