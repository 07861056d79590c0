// A device in words, for people. Knows adapters, limits and features; knows no platform.
import type { Gpu } from './gpu.ts';

/** What the adapter calls itself. */
export function adapterName(info: GPUAdapterInfo): string {
  return (
    info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(' ') || 'unnamed'
  );
}

/** The adapter as results name it: two that differ in vendor, architecture or driver have two titles. */
export function adapterTitle({ vendor, architecture, description }: GPUAdapterInfo): string {
  return `${vendor} ${architecture} (${description})`;
}

/** The features and limits that matter to kernels. */
export function describeLimits({ limits, features }: Gpu): string {
  const named = ['subgroups', 'shader-f16', 'timestamp-query'].filter(feature => features.has(feature));
  if (limits.maxImmediate > 0) named.push('immediates');
  const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  return `binding ≤ ${mib(limits.maxBinding)}, buffer ≤ ${mib(limits.maxBuffer)}, ${named.join(', ') || 'no optional features'}`;
}
