// What an op launches: which kernels, in which variant and grid. Found by running the op with a recorder in the place
// of the device, so nothing needs to compile. Knows how ops call a Gpu; knows no op.
import type { Gpu } from '../src/gpu/gpu.ts';
import { variantKey } from '../src/gpu/kernels.ts';

export interface Launched {
  /** The shader file's name. */
  readonly kernel: string;
  /** Equal for equal variants of a kernel on equal grids. */
  readonly key: string;
  /** The device was asked for its choice just before: no variant was forced, or the forced one cannot run here. */
  readonly chosen: boolean;
}

/** The dispatches that `work` would record; none reaches the device, so what it computes stays undefined. */
export function launchesOf(gpu: Gpu, work: () => void): Launched[] {
  const launches: Launched[] = [];
  const { choices } = gpu;
  const { pick } = choices;
  let chosen = false;
  choices.pick = (...asked) => {
    chosen = true;
    return pick.call(choices, ...asked);
  };
  gpu.run = (kernel, _bind, _params, { groups, consts = {}, unroll = false }) => {
    launches.push({ kernel, key: `${variantKey(kernel, consts, unroll)} ${groups}`, chosen });
    chosen = false;
  };
  try {
    work();
  } finally {
    // The classes' own show again.
    Reflect.deleteProperty(choices, 'pick');
    Reflect.deleteProperty(gpu, 'run');
  }
  return launches;
}

/**
 * The names of the variants that were launched, "a+b" where one call launched several; `forced` holds what each
 * variant launches where it is forced, by name. Launches that all variants have in common tell nothing; where nothing
 * does (an op without variants), the kernels are named instead.
 */
export function variantName(
  launched: readonly Launched[],
  forced: ReadonlyMap<string, readonly Launched[]>,
): string {
  const has = (name: string, { key }: Launched): boolean =>
    forced.get(name)!.some(launch => launch.key === key && !launch.chosen);
  const names = [...forced.keys()];
  const telling = launched.filter(launch => !names.every(name => has(name, launch)));
  const parts =
    telling.length > 0
      ? telling.map(launch => names.find(name => has(name, launch)) ?? launch.kernel)
      : launched.map(({ kernel }) => kernel);
  return [...new Set(parts)].join('+');
}
