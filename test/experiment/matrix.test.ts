// The declared experiments: that each can be run as it stands, is fair, is of a size that gets done, and shares what it
// has in common with others.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { type Cell, cellsOf, type TrainingCell, withPrerequisites } from '../../tools/experiment/cell.ts';
import type { Experiment } from '../../tools/experiment/experiment.ts';
import { EXPERIMENTS } from '../../tools/experiment/matrix/index.ts';
import { WIDTH, widthOf } from '../../tools/experiment/svg.ts';
import { run, scratch } from '../e2e/child.ts';

const MATRIX = join(import.meta.dirname, '..', '..', 'tools', 'experiment', 'matrix');
const folder = scratch();

test('every file of the matrix is an experiment of its name, and is listed', () => {
  const files = readdirSync(MATRIX).filter(name => !['index.ts', 'common.ts'].includes(name));
  expect(files.sort()).toEqual(EXPERIMENTS.map(({ name }) => `${name}.ts`).sort());
});

function isTraining(cell: Cell): cell is TrainingCell {
  return cell.kind === 'train';
}

/** Samples that a cell trains on: a number for every arm, none that accuracy decides. */
function samplesOf({ options: { samples, stageSteps, batch } }: TrainingCell): number {
  const own = samples ?? (stageSteps === 'auto' ? null : batch * stageSteps.reduce((a, b) => a + b));
  expect(own).not.toBeNull();
  return own!;
}

/** How the model that a cell starts from was made, its initial scale apart, which `start` asks about. */
function originOf({ from }: TrainingCell): unknown {
  return from && { ...from.options, initScale: undefined, seed: undefined };
}

describe.each(EXPERIMENTS)('$name', experiment => {
  const cells = cellsOf(experiment, experiment.seeds);
  const { arms, sections, seeds, question, about } = experiment;

  it('asks one question, of three seeds at least', () => {
    expect(question).toMatch(/^[A-Z][^?.]*\?$/);
    expect(about.trim()).not.toBe('');
    expect(seeds).toBeGreaterThanOrEqual(3);
  });

  it('has arms of different names that do different things, each shown by some section', () => {
    expect(new Set(arms.map(({ name }) => name)).size).toBe(arms.length);
    expect(new Set(cells.map(({ id }) => id)).size).toBe(cells.length);
    for (const arm of arms)
      expect(
        sections.some(section => section.arms?.(arm) ?? true),
        arm.name,
      ).toBe(true);
    // Prerequisites are told from arms by their names.
    const all = withPrerequisites(cells);
    expect(new Set(all.map(({ arm, seed }) => `${arm} ${seed}`)).size).toBe(all.length);
  });

  it('has titles that fit on their plots', () => {
    for (const { plots } of sections)
      for (const { title } of plots) expect(widthOf(title, 14), title).toBeLessThan(WIDTH - 32);
  });

  it('has plots of different files', () => {
    const names = sections.flatMap(({ plots }) => plots.map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z-]*$/);
  });

  it('gives every arm of a task as many samples, after the same start', () => {
    for (const section of sections) {
      const shown = arms.filter(arm => section.arms?.(arm) ?? true).map(({ name }) => name);
      const groups = Map.groupBy(
        cells.filter(cell => shown.includes(cell.arm)).filter(isTraining),
        ({ options: { task, nodes, hops, maxEdges } }) => JSON.stringify([task, nodes, hops, maxEdges]),
      );
      for (const [task, group] of groups)
        for (const cell of group) {
          expect(samplesOf(cell), `${cell.arm}, ${task}`).toBe(samplesOf(group[0]!));
          expect(originOf(cell), `${cell.arm}, ${task}`).toEqual(originOf(group[0]!));
        }
    }
  });

  it('is done in less than two hours, by what is declared', () => {
    const minutes = withPrerequisites(cells).reduce((sum, cell) => sum + cell.minutes, 0);
    expect(minutes).toBeLessThan(120);
  });

  it('looks at models in words that tools/evaluate.ts knows', async () => {
    const looks = cells.filter(isTraining).flatMap(cell => cell.looks.map(({ flags }) => flags.join(' ')));
    for (const words of new Set(looks)) {
      const model = join(folder, 'no-such-model');
      const task = [
        '--task',
        'pointer',
        '--nodes',
        '8',
        '--hops',
        '3',
        '--seed',
        '0',
        '--count',
        '4',
        '--json',
      ];
      const { stderr } = await run('tools/evaluate.ts', ['--model', model, ...task, ...words.split(' ')]);
      expect(stderr).toMatch(new RegExp(`^error: ${model}`));
    }
  });
});

test('experiments share cells', () => {
  const named = (name: string): Experiment => EXPERIMENTS.find(experiment => experiment.name === name)!;
  const ids = (name: string): Set<string> => {
    const experiment = named(name);
    return new Set(withPrerequisites(cellsOf(experiment, experiment.seeds)).map(({ id }) => id));
  };
  const modes = ids('modes');
  const shared = (name: string): number => [...ids(name)].filter(id => modes.has(id)).length;
  // coconut on the chain, on the graph, and the pointer chasing before the latter, of three seeds.
  expect(shared('quantisation')).toBe(9);
  expect(shared('search')).toBe(6);
  expect(shared('start')).toBe(6);
  expect(shared('used')).toBe(12);
});
