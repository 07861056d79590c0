// A model's parameters on the device: a few flat arenas, and a tensor a parameter that views its part of one.
// Knows names and shapes from the config; knows no op. Gradients and the optimizer's moments have the same form.

import { fill } from '../flat.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { count, empty, read, Tensor } from '../tensor.ts';
import { type ModelConfig, type NamedShape, parameterShapes } from './config.ts';

/** One buffer: parameters that decay first, then those that don't, each at a bindable offset, zeros between. */
export interface Arena {
  readonly flat: Tensor;
  /** Elements [0, decayEnd) decay. */
  readonly decayEnd: number;
}

interface Place {
  readonly name: string;
  readonly shape: readonly number[];
  readonly arena: number;
  readonly at: number;
}

/** Elements between two bindable offsets (256 bytes). */
const ALIGN = 64;

/** Weight decay is for matrices and embeddings, not for biases and LayerNorm gains (GPT-2, nanoGPT). */
function decays(shape: readonly number[]): boolean {
  return shape.length > 1;
}

export class Parameters {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  /** Parameters that are trained with the model and are no part of it. */
  readonly extra: readonly NamedShape[];
  readonly arenas: readonly Arena[];
  readonly #places: readonly Place[];
  readonly #tensors = new Map<string, Tensor>();

  /** Zeroed parameters of `config`'s shapes, and of `extra` after them. Throws GpuOutOfMemoryError where one exceeds the largest buffer. */
  constructor(gpu: Gpu, config: ModelConfig, extra: readonly NamedShape[] = []) {
    this.gpu = gpu;
    this.config = config;
    this.extra = extra;
    const { places, sizes } = layOut([...parameterShapes(config), ...extra], gpu.limits.maxBuffer / 4);
    this.#places = places;
    this.arenas = sizes.map(({ size, decayEnd }) => {
      const flat = empty(gpu, [size]);
      fill(flat, 0);
      return { flat, decayEnd };
    });
    for (const { name, shape, arena, at } of places) {
      const { buffer } = this.arenas[arena]!.flat.range;
      const range = { buffer, offset: at * 4, size: count(shape) * 4 };
      this.#tensors.set(name, new Tensor(gpu, range, shape, 'f32', false));
    }
  }

  /** Zeroed parameters of the same names and shapes, for gradients or moments. */
  another(): Parameters {
    return new Parameters(this.gpu, this.config, this.extra);
  }

  /** The parameter of this Hugging Face name. */
  get(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`the model has no parameter ${name}`);
    return tensor;
  }

  names(): string[] {
    return this.#places.map(place => place.name);
  }

  zero(): void {
    for (const { flat } of this.arenas) fill(flat, 0);
  }

  /** Copies values in, by name; every parameter must be there. */
  load(values: ReadonlyMap<string, Float32Array>): void {
    for (const name of this.names()) {
      const tensor = this.get(name);
      const data = values.get(name);
      if (data?.length !== tensor.size)
        throw new Error(`values for ${name} do not fill shape [${tensor.shape}]`);
      this.gpu.write(tensor.range, data);
    }
  }

  /** Values by name, after everything recorded so far: views of an array an arena. */
  async values(): Promise<Map<string, Float32Array>> {
    const flats = await Promise.all(this.arenas.map(({ flat }) => read(flat)));
    return new Map(
      this.#places.map(({ name, shape, arena, at }) => [name, flats[arena]!.subarray(at, at + count(shape))]),
    );
  }

  free(): void {
    for (const { flat } of this.arenas) flat.free();
  }
}

/** Places every parameter; a new arena begins where the next parameter would exceed `most` elements. */
function layOut(
  shapes: readonly NamedShape[],
  most: number,
): { places: Place[]; sizes: { size: number; decayEnd: number }[] } {
  const places: Place[] = [];
  const sizes: { size: number; decayEnd: number }[] = [];
  const ordered = [
    ...shapes.filter(([, shape]) => decays(shape)),
    ...shapes.filter(([, shape]) => !decays(shape)),
  ];
  for (const [name, shape] of ordered) {
    const room = Math.ceil(count(shape) / ALIGN) * ALIGN;
    let last = sizes.at(-1);
    if (!last || last.size + room > most) {
      last = { size: 0, decayEnd: 0 };
      sizes.push(last);
    }
    places.push({ name, shape, arena: sizes.length - 1, at: last.size });
    last.size += room;
    if (decays(shape)) last.decayEnd = last.size;
  }
  // Files and messages keep the model's own order.
  const order = new Map(shapes.map(([name], i) => [name, i]));
  places.sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  return { places, sizes };
}
