// Figures of what was seen inside a model: controls, forced text, node values, norms. Knows what tools/evaluate.ts
// says; knows no experiment.
import type { ControlName } from '../../src/eval/control.ts';
import type { Inspection } from '../../src/eval/inspect.ts';
import type { NodeShares } from '../../src/eval/nodes.ts';
import { PATH_CLASSES, type PathClass } from '../../src/eval/paths.ts';
import type { EvaluationReport } from '../../src/eval/report.ts';
import { share } from '../../src/train/results.ts';
import type { Done, Figure, Line } from './experiment.ts';
import { meanOf } from './figures.ts';
import type { CellRecord } from './record.ts';

/** What evaluations of the trained model, or of the model that enters a stage, said. */
function reportsOf({ looks }: CellRecord, at: 'end' | number): EvaluationReport[] {
  return looks.filter(look => look.at === at).map(({ result }) => result as unknown as EvaluationReport);
}

function insideOf(record: CellRecord, at: 'end' | number): Inspection | null {
  return reportsOf(record, at).find(({ inspect }) => inspect !== null)?.inspect ?? null;
}

/** Exact match with something done to all thoughts. */
export function controlled(control: ControlName): Figure {
  return { name: control, of: record => controlOf(record, control, null), show: share };
}

/** Exact match with something done to one thought, from 1. */
export function alone(control: ControlName, thought: number): Figure {
  return { name: `${control} ${thought}`, of: record => controlOf(record, control, thought), show: share };
}

function controlOf(record: CellRecord, control: ControlName, thought: number | null): number | null {
  const all = reportsOf(record, 'end').flatMap(({ controls }) => controls);
  return all.find(one => one.control === control && one.thought === thought)?.exactMatch ?? null;
}

/** What it loses to snap one thought: KL divergence of what is said next. */
export function snapKl(thought: number): Figure {
  return {
    name: `KL of snap ${thought}`,
    of: record => insideOf(record, 'end')?.snapKl.find(one => one.thought === thought)?.kl ?? null,
    show: value => value.toFixed(3),
  };
}

/** Exact match where the model is made to write the rest after so many thoughts. */
export function forcedMatch(thoughts: number): Figure {
  return {
    name: `after ${thoughts}`,
    of: record => forcedOf(record, thoughts)?.exactMatch ?? null,
    show: share,
  };
}

/** The share of a class among the paths that it then writes. */
export function classShare(name: PathClass, thoughts: number): Figure {
  return {
    name: `${name} after ${thoughts}`,
    of: record => {
      const classes = forcedOf(record, thoughts)?.classes;
      return classes ? classes[name] / PATH_CLASSES.reduce((sum, each) => sum + classes[each], 0) : null;
    },
    show: share,
  };
}

function forcedOf(record: CellRecord, thoughts: number): Inspection['forced'][number] | undefined {
  return insideOf(record, 'end')?.forced.find(one => one.thoughts === thoughts);
}

/** Something of the model as it enters a stage. */
export function atStage(name: string, stage: number, of: (inside: Inspection) => number | null): Figure {
  return {
    name,
    of: record => {
      const inside = insideOf(record, stage);
      return inside === null ? null : of(inside);
    },
    show: value => value.toFixed(2),
  };
}

/** A line an arm over the stages: something of the newest thought as its stage begins, with the seeds. */
export function newestThought(
  done: readonly Done[],
  of: (thought: { readonly norm: number; readonly cosine: number | null }) => number | null,
): Line[] {
  return done.map(({ arm, records }) => {
    const points = new Map<number, number[]>();
    for (const record of records)
      for (const { at } of record.looks) {
        const newest = at === 'end' ? undefined : insideOf(record, at)?.norms?.thoughts.at(-1);
        const value = newest ? of(newest) : null;
        if (at !== 'end' && value !== null) points.set(at, [...(points.get(at) ?? []), value]);
      }
    return {
      name: arm.name,
      points: [...points].sort(([a], [b]) => a - b).map(([x, seeds]) => ({ x, y: meanOf(seeds), seeds })),
    };
  });
}

/** Value on some nodes after each number of thoughts, with what it would be were all nodes worth the same. */
export function nodeMasses(done: readonly Done[], mass: 'reachable' | 'frontier' | 'optimal'): Line[] {
  return done.flatMap(({ arm, records }): Line[] => {
    const all = records.flatMap(record => insideOf(record, 'end')?.nodes ?? []);
    // Where no step is left the answer is asked for, and there is no search any more.
    const steps = all.filter(({ asks }) => asks === 'step');
    const groups = [...Map.groupBy(steps, ({ thoughts }) => thoughts)].sort(([a], [b]) => a - b);
    const line = (name: string, of: (shares: NodeShares) => number): Line => ({
      name,
      points: groups.map(([x, shares]) => ({ x, y: meanOf(shares.map(of)), seeds: shares.map(of) })),
    });
    const value = line(arm.name, shares => shares[mass]);
    const { points } = line(arm.name, ({ chance }) => chance[mass]);
    return [value, { name: arm.name, points: points.map(({ x, y }) => ({ x, y })), dashed: true }];
  });
}
