// A stand-in for the device on which ops run their kernels through wgsl_reflect's interpreter, one workgroup's
// threads in lockstep, so that data races show. Knows the part of Gpu that ops use; knows no op.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { detectRaces } from 'wgsl_reflect/wgsl_reflect.module.js';
import { Choices } from '../../src/gpu/choices.ts';
import type { Bindable, Gpu, Launch, PoolBuffer, Range } from '../../src/gpu/gpu.ts';
import { type Reflection, reflect } from '../../src/gpu/reflect.ts';
import { specialise } from '../../src/gpu/shader.ts';
import { packParams } from '../../src/gpu/uniforms.ts';
import type { Fault } from './fault.ts';

/** What the interpreter said of one kernel, all its runs together. */
export interface Finding {
  runs: number;
  /** Races and diverging barriers, by line, so that one fault of 64 threads is reported once. */
  readonly faults: Map<number, Fault>;
  /** Why the interpreter could not run it, where it could not. */
  failure: string | undefined;
}

export interface AdapterLike {
  readonly cpuRun: boolean;
  readonly features: readonly string[];
}

/** Thrown where the interpreter cannot run a kernel: whatever follows would work on undefined values. */
export class NotInterpreted extends Error {}

export class InterpretedGpu {
  readonly findings = new Map<string, Finding>();
  readonly limits = { maxBinding: 2 ** 27, maxBuffer: 2 ** 28, maxGroups: 65_535 };
  readonly device = { limits: { minStorageBufferOffsetAlignment: 256 } };
  readonly poison = false;
  readonly choices = new Choices();
  readonly counts = { dispatches: 0, submits: 0, flops: 0 };
  readonly swiftshader = false;
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
    this.#put(buffer, offset, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  async read({ buffer, offset, size }: Range): Promise<ArrayBuffer> {
    return this.#bytes(buffer).slice(offset, offset + size);
  }

  /** Runs one dispatch, and keeps what the race detector says of it. */
  run(name: string, bind: Record<string, Bindable>, params: Record<string, number>, how: Launch): void {
    const finding = this.findings.get(name) ?? { runs: 0, faults: new Map(), failure: undefined };
    this.findings.set(name, finding);
    const file = `shaders/${name}.wgsl`;
    const text = readFileSync(join(this.#folder, `${name}.wgsl`), 'utf8');
    const { code } = specialise(file, text, how.consts ?? {}, false);
    const groups = typeof how.groups === 'number' ? [how.groups, 1, 1] : [...how.groups];
    try {
      const reflection = reflect(file, code);
      const bound = this.#bound(name, reflection, bind, params);
      const { races, errors } = interpret(code, groups, bound);
      finding.runs++;
      for (const { a, message } of races)
        finding.faults.set(a.line, { file, line: a.line, message: `data race: ${message}` });
      for (const message of errors) {
        const line = Number(/line (\d+)/.exec(message)?.[1] ?? 1);
        finding.faults.set(line, { file, line, message });
      }
      for (const { name: key, binding, kind } of reflection.bindings)
        if (kind === 'read_write')
          this.#put(
            bind[key]!.range.buffer,
            bind[key]!.range.offset,
            new Uint8Array(bound[binding] as ArrayBuffer),
          );
    } catch (error) {
      finding.failure ??= reason(text, error);
      throw new NotInterpreted(`${file}: ${finding.failure}`);
    }
  }

  #bound(
    name: string,
    reflection: Reflection,
    bind: Record<string, Bindable>,
    params: Record<string, number>,
  ): Bound {
    const bound: Bound = {};
    for (const { name: key, binding, kind } of reflection.bindings) {
      if (kind !== 'uniform') {
        const { buffer, offset, size } = bind[key]!.range;
        bound[binding] = this.#bytes(buffer).slice(offset, offset + size);
        continue;
      }
      const uniform = new ArrayBuffer(reflection.uniformSize);
      packParams(name, reflection, params, new DataView(uniform), 0);
      bound[binding] = { uniform };
    }
    return bound;
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

  #put(buffer: PoolBuffer, offset: number, bytes: Uint8Array): void {
    new Uint8Array(this.#bytes(buffer)).set(bytes, offset);
  }
}

/** Resources of group 0 by binding number, as wgsl_reflect takes them. */
type Bound = Record<string, ArrayBuffer | { uniform: ArrayBuffer }>;

/** The interpreter complains on console.error and goes on with undefined values; here the first complaint throws. */
function interpret(code: string, groups: number[], bound: Bound): ReturnType<typeof detectRaces> {
  const complain = console.error;
  console.error = (message: unknown) => {
    throw new Error(String(message).trim());
  };
  try {
    return detectRaces(code, 'main', groups, { 0: bound });
  } finally {
    console.error = complain;
  }
}

function reason(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return usesSubgroups(text) ?? `wgsl_reflect's interpreter fails: ${message.split('\n')[0]}`;
}

/** Why a kernel cannot be interpreted, where it uses subgroups. */
export function usesSubgroups(text: string): string | undefined {
  const enabled = /^\s*enable\b[^;]*\bsubgroups\b/m.test(text);
  return enabled ? "it uses subgroups, which wgsl_reflect's interpreter does not have" : undefined;
}
