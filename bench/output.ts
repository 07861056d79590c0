// What a run of the kernel bench prints while it goes on and keeps when it is done, wherever its device is. Knows rows
// and files; knows no device.
import { nodeFiles as files } from '../src/platform/files.ts';
import type { Ceilings } from '../src/train/ceiling.ts';
import { type AdapterName, writeSection } from './results.ts';
import { type BenchRow, ceilingsLine, ceilingUnits, markdownTable, tableHead, tableRow } from './rows.ts';
import type { Listener } from './session.ts';

/** Prints the table line by line, as rows come. */
export const onTerminal: Pick<Listener, 'ceilings' | 'row' | 'skipped'> = {
  ceilings(measured, timestamps) {
    if (!timestamps) console.log('this adapter has no timestamp queries: ms is by the wall clock');
    console.log(`ceilings: ${ceilingsLine(measured)}\n${tableHead()}`);
  },
  row: row => console.log(tableRow(row)),
  skipped: why => console.log(why),
};

export interface Finished {
  /** Names the file of results. */
  readonly adapter: AdapterName;
  /** The line on the adapter that the run began with. */
  readonly summary: string;
  /** What `provenance` (provenance.ts) says. */
  readonly source: string;
  readonly ceilings: Ceilings;
  readonly rows: readonly BenchRow[];
}

export interface Keeping {
  /** Where to write the rows as JSON. */
  readonly json: string | undefined;
  /** Every op was run at every shape, so the adapter's results are replaced. */
  readonly whole: boolean;
  /** The bench's own entry point, whose --help explains the columns. */
  readonly script: string;
}

/** Throws UserError where a file cannot be written. */
export async function keep(finished: Finished, { json, whole, script }: Keeping): Promise<void> {
  const { adapter, summary, source, ceilings, rows } = finished;
  if (json !== undefined) {
    const content = { adapter: summary, source, ceilings: ceilingUnits(ceilings), rows };
    await files.writeAtomic(json, `${JSON.stringify(content, null, 2)}\n`);
  }
  if (!whole) return;
  const body = `${source}\n\nCeilings: ${ceilingsLine(ceilings)}. The columns: \`node ${script} --help\`.`;
  const written = await writeSection(adapter, 'Kernels', `${body}\n\n${markdownTable(rows)}`);
  console.log(`written to ${written}`);
}
