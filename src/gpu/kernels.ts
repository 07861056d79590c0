// Compiles kernel variants and makes their bind groups: the one place that does either. Knows shader texts by
// name and what reflection reads in them; knows no tensors and no ops.
import { GpuCompileError, GpuError, GpuValidationError } from './errors.ts';
import { withHalves } from './half.ts';
import { withImmediates } from './immediates.ts';
import type { PoolBuffer, Watch } from './pool.ts';
import { type Binding, type Reflection, reflect } from './reflect.ts';
import { type Constants, type ShaderText, specialise } from './shader.ts';

/** Bytes [offset, offset + size) of a pooled buffer. */
export interface Range {
  readonly buffer: PoolBuffer;
  readonly offset: number;
  readonly size: number;
}

/** What a binding needs to know of a tensor. Without a type, it is bound as its shader declares it. */
export interface Bindable {
  readonly range: Range;
  readonly dtype?: DType;
}

/** Types of a tensor's elements: f16 has two bytes, and kernels compute with it as f32 (half.ts); the others have four. */
export type DType = 'f32' | 'u32' | 'i32' | 'f16';

/** One compiled variant of a kernel. */
export interface Kernel {
  readonly id: number;
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly reflection: Reflection;
  /** Parameters are set in the pass, not read from the uniform arena. */
  readonly immediate: boolean;
}

/** Bind groups kept before the cache starts afresh; a training step of a small model needs a few hundred. */
const GROUPS_KEPT = 16_384;

export class Kernels {
  readonly #device: GPUDevice;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #maxImmediate: number;
  readonly #watch: Watch;
  readonly #failed: (error: GpuError) => void;
  readonly #later: (check: Promise<void>) => void;
  readonly #kernels = new Map<string, Kernel>();
  /** The same by name and what was asked for, which is compared: making a key of it at each dispatch takes longer. */
  readonly #asked = new Map<string, Asked[]>();
  /** By a hash of kernel and ranges. */
  readonly #groups = new Map<number, Group[]>();
  #groupCount = 0;

  /**
   * `sources`: WGSL texts by kernel name; `maxImmediate`: bytes of parameters that may be set in a pass, 0 where the
   * device has no immediates; `failed` receives compile errors, which arrive with the promises given to `later`.
   */
  constructor(
    device: GPUDevice,
    sources: ReadonlyMap<string, string>,
    maxImmediate: number,
    watch: Watch,
    failed: (error: GpuError) => void,
    later: (check: Promise<void>) => void,
  ) {
    this.#device = device;
    this.#sources = sources;
    this.#maxImmediate = maxImmediate;
    this.#watch = watch;
    this.#failed = failed;
    this.#later = later;
  }

  /** Number of variants compiled so far. */
  get compiled(): number {
    return this.#kernels.size;
  }

  /** The text of a shader file. */
  source(name: string): string | undefined {
    return this.#sources.get(name);
  }

  /**
   * The variant of kernel `name` with these constants and with the bindings `halves` stored as f16, compiled on first
   * use. Throws GpuCompileError.
   */
  get(name: string, constants: Constants, unroll: boolean, halves: readonly string[] = []): Kernel {
    const before = this.#asked.get(name) ?? [];
    for (const one of before)
      if (one.unroll === unroll && sameList(one.halves, halves) && sameConstants(one.constants, constants))
        return one.kernel;
    const key = variantKey(name, constants, unroll, halves);
    const kernel = this.#kernels.get(key) ?? this.#compile(key, name, constants, unroll, halves);
    this.#asked.set(name, [...before, { constants: { ...constants }, unroll, halves, kernel }]);
    return kernel;
  }

  #compile(
    key: string,
    name: string,
    constants: Constants,
    unroll: boolean,
    halves: readonly string[],
  ): Kernel {
    const source = this.#sources.get(name);
    if (source === undefined) throw new GpuCompileError(`there is no shader file ${name}.wgsl`, name);
    const file = `shaders/${name}.wgsl`;
    let text: ShaderText;
    let reflection: Reflection;
    let immediate: boolean;
    try {
      reflection = reflect(file, specialise(file, source, constants, false).code);
      const { uniformSize } = reflection;
      immediate = uniformSize > 0 && uniformSize <= this.#maxImmediate;
      const stored = withHalves(file, source, new Set(halves));
      text = specialise(file, immediate ? withImmediates(file, stored) : stored, constants, unroll);
    } catch (error) {
      throw new GpuCompileError(error instanceof Error ? error.message : `${file}: ${error}`, name);
    }
    const layout = this.#device.createBindGroupLayout({
      label: name,
      entries: (immediate ? storageOf(reflection) : reflection.bindings).map(({ binding, kind }) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer:
          kind === 'uniform'
            ? { type: 'uniform', hasDynamicOffset: true }
            : { type: kind === 'read' ? 'read-only-storage' : 'storage' },
      })),
    });
    const pipeline = this.#watch(key, 'validation', () => {
      const module = this.#device.createShaderModule({ label: key, code: text.code });
      this.#reportCompileErrors(module, file, name, text, source);
      return this.#device.createComputePipeline({
        label: key,
        layout: this.#device.createPipelineLayout({
          bindGroupLayouts: [layout],
          ...(immediate && { immediateSize: reflection.uniformSize }),
        }),
        compute: { module, entryPoint: 'main' },
      });
    });
    const kernel = { id: this.#kernels.size, label: key, pipeline, layout, reflection, immediate };
    this.#kernels.set(key, kernel);
    return kernel;
  }

  /**
   * The bind group of `tensors` by variable name, and of `arena`, at a dynamic offset, where parameters are in one.
   * Throws GpuError where one is missing, unknown, or in a buffer that is written too.
   */
  group(
    kernel: Kernel,
    tensors: Readonly<Record<string, Bindable>>,
    arena: GPUBuffer | undefined,
  ): GPUBindGroup {
    const { bindings } = kernel.reflection;
    const ranges: Range[] = [];
    let hash = kernel.id;
    for (const { name, kind } of bindings) {
      if (kind === 'uniform') continue;
      const range = tensors[name]?.range;
      if (!range) throw new GpuError(`no tensor was given for binding "${name}"`, kernel.label);
      ranges.push(range);
      hash = Math.imul(hash ^ range.buffer.id, 0x9e3779b1) ^ range.offset ^ (range.size << 8);
    }
    let given = 0;
    for (const _ in tensors) given++;
    if (given > ranges.length) {
      const unknown = Object.keys(tensors).find(name => !bindings.some(binding => binding.name === name));
      throw new GpuError(`the shader has no binding "${unknown}"`, kernel.label);
    }
    const known = this.#groups
      .get(hash)
      ?.find(one => one.kernel === kernel && sameRanges(one.ranges, ranges));
    if (known) return known.group;
    const all = { kernel, ranges };
    checkAliases(all);
    if (this.#groupCount >= GROUPS_KEPT) this.forgetGroups();
    const group = this.#makeGroup(all, arena);
    this.#groups.set(hash, [...(this.#groups.get(hash) ?? []), { ...all, group }]);
    this.#groupCount++;
    return group;
  }

  #makeGroup({ kernel, ranges }: Bound, arena: GPUBuffer | undefined): GPUBindGroup {
    const { layout, label, reflection } = kernel;
    const entries = storageOf(reflection).map(({ binding }, i): GPUBindGroupEntry => {
      const { buffer, offset, size } = ranges[i]!;
      return { binding, resource: { buffer: buffer.gpu, offset, size: Math.ceil(size / 4) * 4 } };
    });
    const uniform = reflection.bindings.find(({ kind }) => kind === 'uniform');
    if (arena && uniform) {
      const resource = { buffer: arena, offset: 0, size: reflection.uniformSize };
      entries.push({ binding: uniform.binding, resource });
    }
    return this.#watch(label, 'validation', () => this.#device.createBindGroup({ label, layout, entries }));
  }

  /** Forgets bind groups, before buffers that they name are destroyed. */
  forgetGroups(): void {
    this.#groups.clear();
    this.#groupCount = 0;
  }

  /** Compiler messages name the file's own lines, whatever was unrolled or replaced. */
  #reportCompileErrors(
    module: GPUShaderModule,
    file: string,
    name: string,
    text: ShaderText,
    source: string,
  ): void {
    const own = source.split('\n');
    const check = module.getCompilationInfo().then(
      info => {
        const lines = info.messages
          .filter(message => message.type === 'error')
          .map(({ lineNum, message }) => {
            const line = text.lines[lineNum - 1] ?? 0;
            return `${file}:${line}: ${message}\n    ${own[line - 1]?.trim() ?? ''}`;
          });
        if (lines.length > 0)
          this.#failed(new GpuCompileError(`does not compile\n${lines.join('\n')}`, name));
      },
      () => {}, // The device is gone; its loss is reported by itself.
    );
    this.#later(check);
  }
}

/** A kernel and the ranges that its storage bindings are bound to, in their order. */
interface Bound {
  readonly kernel: Kernel;
  readonly ranges: readonly Range[];
}

interface Group extends Bound {
  readonly group: GPUBindGroup;
}

/** What a kernel was asked for with. */
interface Asked {
  readonly constants: Constants;
  readonly unroll: boolean;
  readonly halves: readonly string[];
  readonly kernel: Kernel;
}

function sameConstants(a: Constants, b: Constants): boolean {
  for (const name in a) if (a[name] !== b[name]) return false;
  for (const name in b) if (a[name] === undefined) return false;
  return true;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}

function sameRanges(a: readonly Range[], b: readonly Range[]): boolean {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (x.buffer !== y.buffer || x.offset !== y.offset || x.size !== y.size) return false;
  }
  return true;
}

function storageOf({ bindings }: Reflection): readonly Binding[] {
  return bindings.filter(({ kind }) => kind !== 'uniform');
}

/**
 * The device would report these at the submit, without the kernel's name: a buffer that is read and written in one
 * dispatch, though by different ranges, and two written ranges that overlap.
 */
function checkAliases({ kernel, ranges }: Bound): void {
  const bound = storageOf(kernel.reflection);
  for (const [i, written] of bound.entries())
    for (const [k, other] of bound.entries()) {
      const [a, b] = [ranges[i]!, ranges[k]!];
      if (written.kind !== 'read_write' || i === k || a.buffer !== b.buffer) continue;
      const apart = a.offset + a.size <= b.offset || b.offset + b.size <= a.offset;
      if (other.kind === 'read_write' && apart) continue;
      throw new GpuValidationError(
        `"${written.name}" is written and "${other.name}" ${other.kind === 'read' ? 'read' : 'written'} in the same buffer`,
        kernel.label,
      );
    }
}

/** Name of a variant: the kernel, its constants in order of name, whether it is unrolled, what of it is stored as f16. */
export function variantKey(
  name: string,
  constants: Constants,
  unroll: boolean,
  halves: readonly string[] = [],
): string {
  const parts = Object.entries(constants)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  if (unroll) parts.push('unroll');
  for (const half of halves.toSorted()) parts.push(`${half}:f16`);
  return parts.length > 0 ? `${name}[${parts.join(',')}]` : name;
}
