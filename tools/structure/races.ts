// wgsl_reflect's race detection over every kernel that its interpreter can run. Within a workgroup only: that
// different workgroups write different elements is for the reference tests to show.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repairDetector } from './detector.ts';
import type { Fault } from './fault.ts';
import { type AdapterLike, InterpretedGpu, NotInterpreted, usesSubgroups } from './interpreted-gpu.ts';
import { type Scene, scenes, WrongValues } from './scenes.ts';

/** The two for which kernels have different forms. */
const ADAPTERS: readonly AdapterLike[] = [
  { cpuRun: true, features: ['subgroups'] },
  { cpuRun: false, features: [] },
];

export interface RaceReport {
  readonly faults: readonly Fault[];
  readonly analysed: readonly string[];
  /** Kernels that were not analysed, each with the reason. */
  readonly unanalysed: readonly { readonly kernel: string; readonly reason: string }[];
}

/**
 * Interpreting takes about ten seconds; on a machine so slow that this time runs out, what is left is reported as not
 * analysed.
 */
const TIME_LIMIT_MS = 20_000;

const NO_SCENE = 'no scene in tools/structure/scenes.ts runs it';

/** Runs all scenes on every kind of adapter; `kernels` are the names of the shaders. Bits and order are fixed. */
export async function checkRaces(
  root: string,
  kernels: readonly string[],
  run = scenes,
  limitMs = TIME_LIMIT_MS,
): Promise<RaceReport> {
  repairDetector();
  const deadline = performance.now() + limitMs;
  let late = false;
  const runs = new Map<string, number>();
  const reasons = new Map<string, string>();
  const faults = new Map<string, Fault>();
  for (const adapter of ADAPTERS)
    for (const scene of run) {
      late ||= performance.now() > deadline;
      if (late) break;
      const device = new InterpretedGpu(root, adapter);
      const wrong = await play(scene, device);
      for (const [kernel, finding] of device.findings) {
        for (const fault of finding.faults.values()) faults.set(`${fault.file}:${fault.line}`, fault);
        if (finding.failure) reasons.set(kernel, finding.failure);
        else if (wrong)
          reasons.set(kernel, `the interpreter computes other values than the reference (${wrong})`);
        else runs.set(kernel, (runs.get(kernel) ?? 0) + finding.runs);
      }
    }
  const unanalysed = kernels
    .filter(kernel => !runs.has(kernel))
    .map(kernel => {
      const without = usesSubgroups(readFileSync(join(root, 'shaders', `${kernel}.wgsl`), 'utf8'));
      return {
        kernel,
        reason: reasons.get(kernel) ?? without ?? (late ? 'the time ran out' : NO_SCENE),
      };
    });
  return { faults: [...faults.values()], analysed: kernels.filter(kernel => runs.has(kernel)), unanalysed };
}

/** Why a scene's values are wrong; undefined where they are right, or where it stopped before they could be. */
async function play(scene: Scene, device: InterpretedGpu): Promise<string | undefined> {
  let state = 1;
  const random = (): number => {
    state = (state * 16807) % 2147483647; // Park & Miller's minimal standard generator
    return state / 2147483647;
  };
  try {
    await scene.run(device.gpu, random);
  } catch (error) {
    if (error instanceof NotInterpreted) return undefined;
    if (error instanceof WrongValues) return error.message;
    throw error;
  }
  return undefined;
}
