// What a run of the bench covers: rows of test/cases at their bench shapes, narrowed by flags. Knows flags and cases;
// knows no device.
import { UserError } from '../src/errors.ts';
import type { Gpu } from '../src/gpu/gpu.ts';
import type { Dims } from '../test/cases/case.ts';
import { cases } from '../test/cases/index.ts';
import type { ProductShape } from './shape.ts';
import type { AnyCase } from './subject.ts';

/** The flags that decide what is run. */
export interface Narrowed {
  readonly op?: string;
  readonly shape?: readonly ProductShape[];
  readonly variant?: string;
  readonly watch?: true;
  readonly json?: string;
}

export interface PlannedCase {
  readonly row: AnyCase;
  readonly dims: readonly Dims[];
}

export interface Plan {
  readonly cases: readonly PlannedCase[];
  readonly variant: string | undefined;
  /** Every op at every shape: a run whose results are kept. */
  readonly whole: boolean;
}

/** Throws UserError where the flags do not fit together. */
export function planOf({ op, shape, variant, watch, json }: Narrowed): Plan {
  if (watch && op === undefined) throw new UserError('--watch needs --op: it runs one op again at each save');
  if (watch && json !== undefined)
    throw new UserError('--json is for one run, --watch for many: give one of them');
  if (variant !== undefined && op === undefined)
    throw new UserError('--variant needs --op: each op has variants of its own');
  const ofProducts = (row: AnyCase): boolean => ['M', 'N', 'K'].every(name => name in row.bench[0]!);
  const chosen = cases.filter(row => (op === undefined ? !shape || ofProducts(row) : row.name === op));
  const stranger = shape && chosen.find(row => !ofProducts(row));
  if (stranger)
    throw new UserError(
      `--shape is for ${names(cases.filter(ofProducts))}; ${stranger.name} has shapes of its own`,
    );
  const simple = variant !== undefined && chosen.find(row => !row.variants);
  if (simple)
    throw new UserError(
      `--variant is for ${names(cases.filter(row => row.variants))}; ${simple.name} has one form only`,
    );
  return {
    cases: chosen.map(row => ({ row, dims: shape ? atShapes(row, shape) : row.bench })),
    variant,
    whole: op === undefined && !shape,
  };
}

/** Throws UserError unless this device may run the planned variant at one of the shapes. */
export function checkVariant({ cases: planned, variant }: Plan, gpu: Gpu): void {
  if (variant === undefined) return;
  const known = new Set<string>();
  for (const { row, dims } of planned)
    for (const at of dims) for (const name of row.variants!.names(gpu, at)) known.add(name);
  if (!known.has(variant))
    throw new UserError(`--variant must be ${list([...known])} here, got "${variant}"`);
}

/** The given shapes in every form (transposed operands, bias) that the row's bench shapes have. */
function atShapes(row: AnyCase, shapes: readonly ProductShape[]): Dims[] {
  const forms = new Map<string, Dims>();
  for (const dims of row.bench as readonly Dims[]) {
    const { M: _M, N: _N, K: _K, ...rest } = dims;
    forms.set(JSON.stringify(rest), rest);
  }
  return shapes.flatMap(shape => [...forms.values()].map(form => ({ ...shape, ...form })));
}

const list = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

const names = (rows: readonly AnyCase[]): string => rows.map(row => row.name).join(', ');
