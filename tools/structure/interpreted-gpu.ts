// A stand-in for the device on which ops run their kernels through wgsl_reflect's interpreter, one workgroup's
// threads in lockstep, so that data races show. Knows the part of Gpu that ops use; knows no op.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { detectRaces } from 'wgsl_reflect/wgsl_reflect.module.js';
import type { Bindable, Gpu, Launch, PoolBuffer, Range } from '../../src/gpu/gpu.ts';
import { reflect } from '../../src/gpu/reflect.ts';
import { specialise } from '../../src/gpu/shader.ts';
import { packParams } from '../../src/gpu/uniforms.ts';

/** What the interpreter said of one kernel, all its runs together. */
export interface Finding {
  runs: number;
  /** Races and diverging barriers, each with the line of the shader's file. */
  readonly faults: { readonly line: number; readonly message: string }[];
  /** Why the interpreter could not run it, where it could not. */
  failure: string | undefined;
}

export interface AdapterLike {
  readonly cpuRun: boolean;
  readonly features: readonly string[];
}

/** Thrown by `run` where the interpreter gave up: what comes after would work on undefined values. */
export class NotInterpreted extends Error {}

export class InterpretedGpu {
  readonly findings = new Map<string, Finding>();
  readonly limits = { maxBinding: 2 ** 27, maxBuffer: 2 ** 28, maxGroups: 65_535 };
  readonly device = { limits: { minStorageBufferOffsetAlignment: 256 } };
  readonly poison = false;
  readonly cpuRun: boolean;
  readonly features: ReadonlySet<string>;
  readonly pool = {
    take: (bytes: number, upload = false): PoolBuffer => this.#take(bytes, upload),
    give: (buffer: PoolBuffer): boolean => this.#memory.delete(buffer.id),
  };
  readonly #memory = new Map<number, ArrayBuffer>();
  readonly #folder: string;
  #nextId = 1;

  /** Reads shaders from `root`/shaders. */
  constructor(root: string, adapter: AdapterLike) {
    this.#folder = join(root, 'shaders');
    this.cpuRun = adapter.cpuRun;
    this.features = new Set(adapter.features);
  }

  /** This object under the type that ops ask for. They touch no more of a Gpu than is here. */
  get gpu(): Gpu {
    return this as unknown as Gpu;
  }

  write({ buffer, offset }: Range, data: Float32Array | Uint32Array | Int32Array): void {
    new Uint8Array(this.#bytes(buffer)).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
  }

  async read({ buffer, offset, size }: Range): Promise<ArrayBuffer> {
    return this.#bytes(buffer).slice(offset, offset + size);
  }

  run(name: string, bind: Record<string, Bindable>, params: Record<string, number>, how: Launch): void {
    const finding = this.findings.get(name) ?? { runs: 0, faults: [], failure: undefined };
    this.findings.set(name, finding);
    const file = `shaders/${name}.wgsl`;
    const { code, lines } = specialise(file, readFileSync(join(this.#folder, `${name}.wgsl`), 'utf8'), how.consts ?? {}, false);
    const reflection = reflect(file, code);
    const bound: Record<string, ArrayBuffer | { uniform: ArrayBuffer }> = {};
    for (const { name: key, binding, kind } of reflection.bindings) {
      if (kind === 'uniform') {
        const uniform = new ArrayBuffer(reflection.uniformSize);
        packParams(name, reflection, params, new DataView(uniform), 0);
        bound[binding] = { uniform };
      } else {
        const { buffer, offset, size } = bind[key]!.range;
        bound[binding] = this.#bytes(buffer).slice(offset, offset + size);
      }
    }
    const groups = typeof how.groups === 'number' ? [how.groups, 1, 1] : [...how.groups];
    try {
      const { races, errors } = detectRaces(code, 'main', groups, { 0: bound });
      finding.runs++;
      for (const { a, bufferId, message } of races)
        finding.faults.push({ line: lines[a.line - 1] ?? a.line, message: `race on ${bufferId}: ${message}` });
      for (const message of errors) finding.faults.push({ line: 1, message });
    } catch (error) {
      finding.failure = String(error instanceof Error ? error.message : error).split('\n')[0]!;
      throw new NotInterpreted(`${file}: ${finding.failure}`);
    }
    for (const { name: key, binding, kind } of reflection.bindings)
      if (kind === 'read_write') {
        const { buffer, offset } = bind[key]!.range;
        new Uint8Array(this.#bytes(buffer)).set(new Uint8Array(bound[binding] as ArrayBuffer), offset);
      }
  }

  #take(bytes: number, upload: boolean): PoolBuffer {
    const id = this.#nextId++;
    this.#memory.set(id, new ArrayBuffer(bytes));
    return { id, capacity: bytes, upload, gpu: undefined as unknown as GPUBuffer };
  }

  #bytes(buffer: PoolBuffer): ArrayBuffer {
    const bytes = this.#memory.get(buffer.id);
    if (!bytes) throw new Error('a freed tensor is used');
    return bytes;
  }
}
