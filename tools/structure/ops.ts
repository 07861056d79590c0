// The rules of ops: every op is in the table, has a reference case, and a shape for the bench. Knows the table and
// the cases by name; knows no op.
import type { Fault } from './fault.ts';
import { filesIn, lineAt, readSource } from './source.ts';

/** What this check reads of a case. */
export interface CaseLike {
  readonly name: string;
  readonly op: unknown;
  readonly bench: readonly unknown[];
}

const TABLE = 'src/ops/index.ts';
const CASES = 'test/cases/index.ts';

/** `ops` is src/ops/index.ts's table, `cases` that of test/cases/index.ts. */
export function checkOps(
  root: string,
  ops: Readonly<Record<string, unknown>>,
  cases: readonly CaseLike[],
): Fault[] {
  const faults: Fault[] = [];
  const byName = new Map(cases.map(row => [row.name, row]));
  for (const [name, op] of Object.entries(ops)) {
    const row = byName.get(name);
    const at = { file: CASES, line: 1 };
    if (!row) faults.push({ ...at, message: `op ${name} has no reference case` });
    else if (row.op !== op)
      faults.push({ ...at, message: `the case "${name}" tests another op than ${TABLE} names so` });
    else if (row.bench.length === 0)
      faults.push({ ...at, message: `op ${name} has no bench row: its case names no bench shapes` });
  }
  for (const { name } of cases)
    if (!(name in ops))
      faults.push({ file: CASES, line: 1, message: `the case "${name}" is of no op in ${TABLE}` });
  return [...faults, ...unlisted(root)];
}

/** Files of src/ops that define an op which the table does not import. */
function unlisted(root: string): Fault[] {
  const files = filesIn(root, 'src/ops', '.ts');
  if (!files.includes(TABLE)) return [];
  const table = readSource(root, TABLE).imports.map(({ specifier }) => specifier);
  return files.flatMap(file => {
    const { code } = readSource(root, file);
    const match = /\bexport const (\w+)\s*:\s*Op</.exec(code);
    if (!match || table.includes(`./${file.split('/').at(-1)}`)) return [];
    return [{ file, line: lineAt(code, match.index), message: `op ${match[1]} is not in ${TABLE}` }];
  });
}
