// Whether an engine's results are right: compared with the float64 references, before anything is timed. Knows the
// references; knows no engine.
import { relativeError } from '../../test/numbers.ts';
import { expectedOf } from './data.ts';
import type { Results } from './engine.ts';
import { expectedLosses, greedyError } from './expected-model.ts';
import type { Work } from './work.ts';

/** Gives an engine's error at the work it was made for, and whether that is small enough. */
export type Check = (results: Results) => { readonly error: number; readonly ok: boolean };

/** Relative error allowed to an op. */
const OP_LIMIT = 1e-4;
/** Error allowed to a loss before and after a step, and to a generated token's logit. */
const MODEL_LIMIT = 1e-3;

/** Computes the reference, once for all engines. */
export function checkOf(work: Work): Check {
  if (work.op === 'generation')
    return ({ tokens }) =>
      tokens?.length === work.B * work.tokens
        ? within(greedyError(tokens, work.B, work.prompt), MODEL_LIMIT)
        : within(Infinity, MODEL_LIMIT);
  if (work.op === 'step') {
    const losses = expectedLosses(work.B);
    return results =>
      within(Math.max(...losses.map((loss, i) => distance(results.losses?.[i], loss))), MODEL_LIMIT);
  }
  const expected = expectedOf(work);
  return results => {
    const errors = Object.entries(expected).map(([name, values]) =>
      results[name]?.length === values.length ? relativeError(results[name], values) : Infinity,
    );
    return within(Math.max(...errors), OP_LIMIT);
  };
}

function within(error: number, limit: number): { error: number; ok: boolean } {
  return { error, ok: error <= limit };
}

function distance(a: number | undefined, b: number): number {
  const d = Math.abs((a ?? Number.NaN) - b);
  return Number.isNaN(d) ? Infinity : d;
}
