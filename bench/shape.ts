// Shapes as the bench's command line gives them and its rows show them. Knows names of dimensions; knows no op.
import { UserError } from '../src/errors.ts';
import { show } from '../src/json.ts';
import type { Dims } from '../test/cases/case.ts';

/** A product of A [M, K] and B [K, N]. */
export interface ProductShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** Multiply-adds of the largest product: its reference on the CPU takes a few nanoseconds for each. */
const MOST_MULTIPLY_ADDS = 2 ** 30;

/** "384x192x64" as M, N, K. Throws UserError. */
export function parseShape(text: string): ProductShape {
  const match = /^([1-9]\d{0,8})x([1-9]\d{0,8})x([1-9]\d{0,8})$/.exec(text);
  if (!match)
    throw new UserError(`--shape must be MxNxK such as 384x192x64 (A is M×K, B is K×N), got ${show(text)}`);
  const [M, N, K] = match.slice(1).map(Number) as [number, number, number];
  if (M * N * K > MOST_MULTIPLY_ADDS)
    throw new UserError(
      `--shape ${text}: its reference check would take minutes; M·N·K may be at most ${MOST_MULTIPLY_ADDS}`,
    );
  return { M, N, K };
}

/** Which of a product's operands are stored transposed: 0 neither, 1 the second, 2 the first, 3 both. */
const FORMS = ['nn', 'nt', 'tn', 'tt'];

/**
 * A case's dimensions as a row shows them. Of products `shape` is MxNxK and `form` what else tells rows apart:
 * "nt bias" has its second operand transposed and a bias. Of other ops `shape` names all dimensions.
 */
export function showDims(dims: Dims): { readonly shape: string; readonly form: string } {
  const { M, N, K, form, batch = 1, ...options } = dims;
  if (M === undefined || N === undefined || K === undefined) {
    const named = Object.entries(dims).map(([name, value]) => `${name}=${value}`);
    return { shape: named.join(' '), form: '' };
  }
  const parts = [
    form === undefined ? '' : FORMS[form],
    batch > 1 ? `batch=${batch}` : '',
    ...Object.keys(options).filter(name => options[name] !== 0),
  ];
  return { shape: `${M}x${N}x${K}`, form: parts.filter(Boolean).join(' ') };
}
