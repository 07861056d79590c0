// WebGPU and files under Node. With web.ts the only place that knows its platform: it finds an adapter, reads
// the shader files, and brings the software Vulkan device that npm installed where there is no other.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { UserError } from '../errors.ts';
import { adapterName, describeLimits } from '../gpu/describe.ts';
import { type Gpu, type GpuOptions, openGpu } from '../gpu/gpu.ts';
import { cacheFolder } from './cache.ts';
import { paceDawn } from './pace.ts';

export type AdapterChoice = 'auto' | 'gpu' | 'software';

export interface Opened {
  readonly gpu: Gpu;
  /** What was taken: hardware, the system's software Vulkan, or the npm one. */
  readonly kind: 'hardware' | 'system software' | 'npm software';
  /** One line: adapter, limits and features that matter, and what would be faster. */
  readonly summary: string;
  /** Ends the device; the promise may be left alone, unless the process is to be ended by force. */
  close(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The repository's WGSL texts by kernel name. */
export function readShaders(): ReadonlyMap<string, string> {
  const folder = join(ROOT, 'shaders');
  const names = readdirSync(folder).filter(name => name.endsWith('.wgsl'));
  return new Map(names.map(name => [name.slice(0, -5), readFileSync(join(folder, name), 'utf8')]));
}

/** The plotting library as texts, for reports that need nothing beside them. */
export function readPlotLibrary(): { uplotJs: string; uplotCss: string } {
  const { resolve } = createRequire(import.meta.url);
  const text = (name: string): string => readFileSync(resolve(`uplot/dist/${name}`), 'utf8');
  return { uplotJs: text('uPlot.iife.min.js'), uplotCss: text('uPlot.min.css') };
}

/**
 * Opens a device: hardware, else the system's software Vulkan, else the npm one. `gpu` takes only the first,
 * `software` never the first. Throws UserError when there is none.
 */
export async function openNodeGpu(
  choice: AdapterChoice = 'auto',
  options: Partial<GpuOptions> = {},
): Promise<Opened> {
  const found = await find(choice);
  const gpu = await openGpu(found.adapter, { shaders: readShaders(), ...options });
  instances.add(found.instance);
  const unpace = gpu.cpuRun ? paceDawn() : () => {};
  return {
    gpu,
    kind: found.kind,
    summary: describe(gpu, found.kind),
    async close() {
      await gpu.destroy();
      await new Promise(resolve => setTimeout(resolve, 0)); // Dawn itself is still in the last promise's call.
      instances.delete(found.instance);
      unpace();
    },
  };
}

/** A way for engines other than ours to the adapter that `openNodeGpu` takes. */
export interface NodeNavigator {
  /** Stands for `navigator.gpu`: every request gives that adapter anew, whatever it asks for. */
  readonly gpu: Pick<GPU, 'requestAdapter' | 'getPreferredCanvasFormat' | 'wgslLanguageFeatures'>;
  /** Environment under which a native library that looks for a Vulkan device by itself finds the same one. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whether one that asks for the fastest adapter under that environment gets this one. */
  readonly first: boolean;
}

/**
 * Finds a device as `openNodeGpu` does and opens none; it is held for as long as the process lives. Devices that the
 * CPU runs are waited for as ours are. Throws UserError when there is none.
 */
export async function nodeNavigator(choice: AdapterChoice = 'auto'): Promise<NodeNavigator> {
  const { instance, adapter, kind, environment } = await find(choice);
  instances.add(instance);
  if (kind !== 'hardware') paceDawn();
  const fastest = await instance.requestAdapter({ powerPreference: 'high-performance' });
  return {
    gpu: {
      requestAdapter: async () => (await takeAdapter(instance, choice))?.adapter ?? null,
      getPreferredCanvasFormat: () => instance.getPreferredCanvasFormat(),
      wgslLanguageFeatures: instance.wgslLanguageFeatures,
    },
    environment,
    first: fastest?.info.description === adapter.info.description,
  };
}

/** What the Vulkan loader takes its drivers from, newer and older name. */
const DRIVER_VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'] as const;

/**
 * Dawn keeps the process alive while an instance is referenced, but calls it gone once the object is collected, and
 * crashes where a promise was then still pending: so each is held from its opening to its close.
 */
const instances = new Set<GPU>();

interface Found {
  readonly instance: GPU;
  readonly adapter: GPUAdapter;
  readonly kind: Opened['kind'];
  readonly environment: Readonly<Record<string, string>>;
}

type Create = (options: string[]) => GPU;

/** Hardware, else the system's software Vulkan, else the npm one, as far as `choice` allows. */
async function find(choice: AdapterChoice): Promise<Found> {
  const { create, globals } = await import('webgpu').catch(error => {
    throw new UserError(
      `WebGPU for Node cannot be loaded (${firstLine(error)}): run "npm ci" on this machine`,
    );
  });
  Object.assign(globalThis, globals);
  const own = hasOwnDriver() ? await findAdapter(create, choice) : undefined;
  const found = own ?? (choice === 'gpu' ? undefined : await findNpmAdapter(create));
  if (!found) throw new UserError(noAdapter(choice));
  return found;
}

async function findAdapter(create: Create, choice: AdapterChoice): Promise<Found | undefined> {
  const instance = create([
    // Browsers round timestamps to 0.1 ms against attacks on other pages; small kernels would then measure 0.
    'disable-dawn-features=timestamp_quantization',
    // Without being asked Dawn offers no shader-f16 on NVIDIA's Vulkan driver; goes when it does.
    'enable-dawn-features=vulkan_enable_f16_on_nvidia',
  ]);
  const taken = await takeAdapter(instance, choice);
  return taken && { ...taken, instance, environment: {} };
}

async function takeAdapter(
  instance: GPU,
  choice: AdapterChoice,
): Promise<Pick<Found, 'adapter' | 'kind'> | undefined> {
  for (const powerPreference of ['high-performance', 'low-power'] as const) {
    const adapter = await instance.requestAdapter({ powerPreference });
    if (!adapter) continue;
    const software = isSoftware(adapter.info);
    if (software ? choice === 'gpu' : choice === 'software') continue;
    return { adapter, kind: software ? 'system software' : 'hardware' };
  }
  return undefined;
}

/** The software Vulkan device of the npm package; undefined where there is none for this system. */
async function findNpmAdapter(create: Create): Promise<Found | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const folder = unpackSwiftShader();
  if (!folder) return undefined;
  keepLibrary(join(folder, 'libvulkan.so.1'));
  // The Vulkan loader reads these when an adapter is asked for. They are put back then, so that child processes
  // look for a device themselves.
  const before = DRIVER_VARIABLES.map(name => process.env[name]);
  const driver = join(folder, 'vk_swiftshader_icd.json');
  for (const name of DRIVER_VARIABLES) process.env[name] = driver;
  const found = await findAdapter(create, 'software');
  for (const [i, name] of DRIVER_VARIABLES.entries())
    if (before[i] === undefined) delete process.env[name];
    else process.env[name] = before[i];
  const environment = Object.fromEntries(DRIVER_VARIABLES.map(name => [name, driver]));
  return found && { ...found, kind: 'npm software', environment };
}

function isSoftware(info: GPUAdapterInfo): boolean {
  return /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(
    `${info.architecture} ${info.device} ${info.description}`,
  );
}

/**
 * Whether to look for the machine's own adapter first. On Linux that needs a Vulkan loader and a driver's
 * description; without them Dawn would only complain on the terminal.
 */
function hasOwnDriver(): boolean {
  if (process.platform !== 'linux') return true;
  if (DRIVER_VARIABLES.some(name => process.env[name])) return true;
  const loader = [
    '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
    '/usr/lib/aarch64-linux-gnu/libvulkan.so.1',
    '/usr/lib64/libvulkan.so.1',
    '/usr/lib/libvulkan.so.1',
    '/run/opengl-driver/lib/libvulkan.so.1',
  ].some(path => existsSync(path));
  const drivers = ['/usr/share', '/etc', '/usr/local/share', '/run/opengl-driver/share'].map(
    base => `${base}/vulkan/icd.d`,
  );
  return (
    loader && drivers.some(path => existsSync(path) && readdirSync(path).some(name => name.endsWith('.json')))
  );
}

/** Loads a library for the whole process. Node says it is no module of its own, but it stays loaded. */
function keepLibrary(path: string): void {
  const RTLD_NODELETE = 0x1000;
  const flags = constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | RTLD_NODELETE;
  try {
    process.dlopen({ exports: {} }, path, flags);
  } catch {
    // Expected: "Module did not self-register". Dawn finds the library under its soname.
  }
}

/** Unpacks SwiftShader from the npm package once; returns its folder, or undefined without the package. */
function unpackSwiftShader(): string | undefined {
  let archive: string;
  let version: string;
  try {
    const main = createRequire(import.meta.url).resolve('@sparticuz/chromium');
    const root = main.slice(
      0,
      main.lastIndexOf(join('@sparticuz', 'chromium')) + '@sparticuz/chromium'.length,
    );
    archive = join(root, 'bin', 'swiftshader.tar.br');
    version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
    if (!existsSync(archive)) return undefined;
  } catch {
    return undefined;
  }
  for (const base of [cacheFolder(), join(tmpdir(), 'mentalese')]) {
    const folder = join(base, `swiftshader-${version}`);
    if (existsSync(folder)) return folder;
    const partial = `${folder}.${process.pid}.tmp`;
    try {
      mkdirSync(partial, { recursive: true });
      for (const [name, bytes] of untar(brotliDecompressSync(readFileSync(archive))))
        writeFileSync(join(partial, name), bytes, { mode: 0o755 });
      renameSync(partial, folder);
      return folder;
    } catch {
      rmSync(partial, { recursive: true, force: true });
      if (existsSync(folder)) return folder; // Another process was first.
    }
  }
  return undefined;
}

/** Files of an uncompressed tar, by base name: a header of 512 bytes, then the contents padded to 512. */
function untar(tar: Uint8Array): [string, Uint8Array][] {
  const files: [string, Uint8Array][] = [];
  const text = (at: number, length: number): string =>
    Buffer.from(tar.subarray(at, at + length))
      .toString('latin1')
      .replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const name = text(at, 100);
    const size = Number.parseInt(text(at + 124, 12).trim(), 8);
    const type = text(at + 156, 1);
    if (type === '0' || type === '')
      files.push([name.split('/').pop()!, tar.subarray(at + 512, at + 512 + size)]);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

function describe(gpu: Gpu, kind: Opened['kind']): string {
  const faster = {
    hardware: '',
    'system software': '; a GPU with a Vulkan driver would be faster',
    'npm software':
      '; a GPU with a Vulkan driver, or a newer software one (Mesa lavapipe ≥ 25), would be faster',
  }[kind];
  return `adapter: ${adapterName(gpu.info)} (${kind}), ${describeLimits(gpu)}${faster}`;
}

function noAdapter(choice: AdapterChoice): string {
  if (choice === 'gpu')
    return '--adapter gpu: no GPU adapter was found; install its driver, or use --adapter software';
  if (process.platform === 'linux')
    return `--adapter ${choice}: no WebGPU adapter was found; run "npm ci" again so that the software device is installed, or install a Vulkan driver`;
  return `--adapter ${choice}: no WebGPU adapter was found on this machine; a GPU with a current driver is needed here`;
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0]!;
}

/** Bytes that a device which the CPU runs can still take; undefined for others: WebGPU does not tell. */
export function freeMemory({ cpuRun }: Pick<Gpu, 'cpuRun'>): number | undefined {
  return cpuRun ? process.availableMemory() : undefined;
}
