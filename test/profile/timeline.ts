// Made-up dispatches for the tests of the profiler's outputs.
import type { Dispatch } from '../../src/gpu/profiler.ts';
import type { Measurement } from '../../tools/profile/measure.ts';

export const dispatch = (
  label: string,
  path: readonly string[],
  start: number,
  end: number,
  more: Partial<Dispatch> = {},
): Dispatch => ({ label, path, start, end, groups: [1, 1, 1], params: { count: 4 }, flops: 0, ...more });

const PRODUCT = 'matmul-quad[ADD=false,BIAS=true,KU=4,unroll]';
const product = { params: { M: 8, N: 4, K: 2, batch: 1 }, flops: 4000 };

/** Two steps of the same six dispatches; a step takes 10 ms on the device, and starts every 20. */
export function twoSteps(): Dispatch[] {
  return [1, 2].flatMap(step => {
    const at = 100 + 20 * (step - 1);
    const part = (...names: string[]) => [`step ${step}`, ...names];
    return [
      dispatch('embedding[unroll]', part('forward', 'embedding'), at, at + 1),
      dispatch(PRODUCT, part('forward', 'question', 'block 0', 'linear'), at + 1, at + 3, product),
      dispatch('gelu', part('forward', 'question', 'block 0', 'gelu'), at + 3, at + 3.5),
      dispatch(PRODUCT, part('forward', 'question', 'block 1', 'linear'), at + 3.5, at + 5, product),
      dispatch(PRODUCT, part('backward', 'question', 'block 1', 'linear'), at + 5, at + 9, {
        ...product,
        params: { M: 16, N: 4, K: 2, batch: 1 },
      }),
      dispatch('adamw', part('optimizer'), at + 9, at + 10),
    ];
  });
}

export function measurement(timeline: readonly Dispatch[] = twoSteps()): Measurement {
  const scopes = ['forward', 'backward', 'optimizer'];
  const moments = [1, 2].flatMap(step => {
    const at = 90 + 4 * step;
    return [
      { at, path: [`step ${step}`] },
      ...scopes.map((name, i) => ({ at: at + i + 0.5, path: [`step ${step}`, name] })),
      { at: at + 3.75, path: [] },
    ];
  });
  return {
    steps: 2,
    stepMs: 12,
    measuredStepMs: 15,
    recordingMs: 3.75,
    dispatches: 6,
    submits: 1,
    flops: 12_000,
    tokens: 32,
    peakBytes: 3 * 2 ** 20,
    timeline,
    moments,
  };
}
