// Experiments and cells as text, for the terminal. Knows declarations; what is done it is told.
import { duration } from '../../src/train/results.ts';
import { type Cell, cellsOf, withPrerequisites } from './cell.ts';
import type { Experiment } from './experiment.ts';
import { nameOf, type Session } from './session.ts';

export function listExperiments(experiments: readonly Experiment[]): string {
  const longest = Math.max(...experiments.map(({ name }) => name.length));
  const lines = experiments.map(experiment => {
    const { name, question, seeds, arms } = experiment;
    const cells = withPrerequisites(cellsOf(experiment, seeds));
    const minutes = cells.reduce((sum, cell) => sum + cell.minutes, 0);
    return `${name.padEnd(longest)}  ${question}\n${' '.repeat(longest)}  ${arms.length} arms × ${seeds} seeds, about ${duration(60 * minutes)} on llvmpipe`;
  });
  return lines.join('\n');
}

/** Two lines a cell: identity, arm and seed, whether it is done; what makes it. */
export function listCells(session: Session): string {
  const longest = Math.max(...session.cells.map(cell => nameOf(cell).length));
  const lines = session.cells.map(cell => {
    const record = session.recordOf(cell);
    const state = record ? `done in ${duration(record.seconds)}` : `about ${duration(60 * cell.minutes)}`;
    return `${cell.id}  ${nameOf(cell).padEnd(longest)}  ${state}\n  node ${scriptOf(cell)} ${cell.flags.join(' ')}${startOf(cell)}`;
  });
  return lines.join('\n');
}

function scriptOf(cell: Cell): string {
  return cell.kind === 'train' ? 'train.ts' : cell.script;
}

function startOf(cell: Cell): string {
  return cell.kind === 'train' && cell.from ? ` --init ${cell.from.id}/final` : '';
}
