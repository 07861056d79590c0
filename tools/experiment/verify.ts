// Runs a finished cell again, in a folder that is gone afterwards, and compares. Knows cells and records.
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cell } from './cell.ts';
import { type CellRecord, differences } from './record.ts';
import { folderOf, isTrained, runCell, type Surroundings } from './run.ts';

/** Where the cell comes out otherwise than its record says; its clocks aside. The model it starts from is the kept one. */
export async function runAgain(cell: Cell, record: CellRecord, kept: Surroundings): Promise<string[]> {
  const around = { ...kept, runs: await mkdtemp(join(tmpdir(), 'mentalese-verify-')) };
  try {
    const from = cell.kind === 'train' ? cell.from : null;
    if (from && (await isTrained(from, kept)))
      await cp(`${folderOf(from, kept)}/final`, `${folderOf(from, around)}/final`, { recursive: true });
    else if (from) await runCell(from, around);
    return differences(record, await runCell(cell, around));
  } finally {
    await rm(around.runs, { recursive: true, force: true });
  }
}
