// WebGPU in a browser, in a page or in a worker: what node.ts is for Node. Knows navigator.gpu, and the shader texts,
// which the bundler puts in.
import { UserError } from '../errors.ts';
import { adapterName, describeLimits } from '../gpu/describe.ts';
import { type Gpu, type GpuOptions, openGpu } from '../gpu/gpu.ts';

export interface Opened {
  readonly gpu: Gpu;
  /** Whether the browser computes on the CPU. */
  readonly software: boolean;
  /** One line: adapter, limits and features that matter. */
  readonly summary: string;
  close(): Promise<void>;
}

const TEXTS: Record<string, string> = import.meta.glob('../../shaders/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** The WGSL texts by kernel name. */
export const SHADERS: ReadonlyMap<string, string> = new Map(
  Object.entries(TEXTS).map(([path, text]) => [path.slice(path.lastIndexOf('/') + 1, -'.wgsl'.length), text]),
);

/** Opens a device on the browser's fastest adapter. Throws UserError, saying what to do, where there is none. */
export async function openWebGpu(options: Partial<GpuOptions> = {}): Promise<Opened> {
  const adapter = await requestAdapter();
  // A browser's adapter may have immediates before its shading language does; older ones name no language features.
  const language = navigator.gpu.wgslLanguageFeatures as WGSLLanguageFeatures | undefined;
  const immediates = language?.has('immediate_address_space') ?? false;
  const limits = { ...(!immediates && { maxImmediate: 0 }), ...options.limits };
  const gpu = await openGpu(adapter, { shaders: SHADERS, ...options, limits });
  const software = gpu.cpuRun;
  const kind = software ? 'software' : 'hardware';
  return {
    gpu,
    software,
    summary: `adapter: ${adapterName(gpu.info)} (${kind}), ${describeLimits(gpu)}`,
    close: () => gpu.destroy(),
  };
}

async function requestAdapter(): Promise<GPUAdapter> {
  if (!isSecureContext)
    throw new UserError('WebGPU needs a secure page: open this one by https, or on localhost');
  // Types promise it, browsers do not.
  const gpu = navigator.gpu as GPU | undefined;
  if (!gpu)
    throw new UserError(
      'this browser has no WebGPU: use a current Chrome, Edge, Firefox or Safari, up to date',
    );
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter)
    throw new UserError(
      'this browser offers no WebGPU adapter: switch on hardware acceleration in its settings, or update the graphics driver; chrome://gpu says what is amiss',
    );
  return adapter;
}
