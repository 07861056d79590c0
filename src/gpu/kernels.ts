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
  /** The same by what was asked for, constants in the order given: sorting their names takes longer than a dispatch. */
  readonly #asked = new Map<string, Kernel>();
  readonly #groups = new Map<string, GPUBindGroup>();

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
    let asked = unroll ? `${name}!` : name;
    for (const constant in constants) asked += `|${constant}=${constants[constant]}`;
    for (const half of halves) asked += `|${half}:f16`;
    let kernel = this.#asked.get(asked);
    if (kernel) return kernel;
    const key = variantKey(name, constants, unroll, halves);
    kernel = this.#kernels.get(key) ?? this.#compile(key, name, constants, unroll, halves);
    this.#asked.set(asked, kernel);
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
      entries: boundOf(reflection, immediate).map(({ binding, kind }) => ({
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

  /** The bind group that binds `ranges` by variable name; `arena`, at a dynamic offset, where parameters are in one. */
  group(kernel: Kernel, ranges: Readonly<Record<string, Range>>, arena: GPUBuffer | undefined): GPUBindGroup {
    let key = String(kernel.id);
    let bound = 0;
    for (const { name, kind } of kernel.reflection.bindings) {
      if (kind === 'uniform') continue;
      const range = ranges[name];
      if (!range) throw new GpuError(`no tensor was given for binding "${name}"`, kernel.label);
      key += `|${range.buffer.id},${range.offset},${range.size}`;
      bound++;
    }
    const given = Object.keys(ranges);
    if (given.length > bound) {
      const unknown = given.find(name => !kernel.reflection.bindings.some(binding => binding.name === name));
      throw new GpuError(`the shader has no binding "${unknown}"`, kernel.label);
    }
    const known = this.#groups.get(key);
    if (known) return known;
    checkAliases(kernel, ranges);
    if (this.#groups.size >= GROUPS_KEPT) this.#groups.clear();
    const group = this.#watch(kernel.label, 'validation', () =>
      this.#device.createBindGroup({
        label: kernel.label,
        layout: kernel.layout,
        entries: boundOf(kernel.reflection, kernel.immediate).map(({ name, binding, kind }) => {
          if (kind === 'uniform')
            return { binding, resource: { buffer: arena!, offset: 0, size: kernel.reflection.uniformSize } };
          const { buffer, offset, size } = ranges[name]!;
          return { binding, resource: { buffer: buffer.gpu, offset, size: Math.ceil(size / 4) * 4 } };
        }),
      }),
    );
    this.#groups.set(key, group);
    return group;
  }

  /** Forgets bind groups, before buffers that they name are destroyed. */
  forgetGroups(): void {
    this.#groups.clear();
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

/** What a bind group of the kernel holds. */
function boundOf({ bindings }: Reflection, immediate: boolean): readonly Binding[] {
  return immediate ? bindings.filter(({ kind }) => kind !== 'uniform') : bindings;
}

/**
 * The device would report these at the submit, without the kernel's name: a buffer that is read and written in one
 * dispatch, though by different ranges, and two written ranges that overlap.
 */
function checkAliases({ label, reflection }: Kernel, ranges: Readonly<Record<string, Range>>): void {
  const bound = reflection.bindings.filter(({ kind }) => kind !== 'uniform');
  for (const written of bound.filter(({ kind }) => kind === 'read_write'))
    for (const other of bound) {
      const a = ranges[written.name]!;
      const b = ranges[other.name]!;
      if (written === other || a.buffer !== b.buffer) continue;
      const apart = a.offset + a.size <= b.offset || b.offset + b.size <= a.offset;
      if (other.kind === 'read_write' && apart) continue;
      throw new GpuValidationError(
        `"${written.name}" is written and "${other.name}" ${other.kind === 'read' ? 'read' : 'written'} in the same buffer`,
        label,
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
