// From single dispatches to what a reader wants to know: times by part of the step, by kernel and by shape. Knows
// dispatches and their scopes; knows no output format.
import type { Dispatch } from '../../src/gpu/profiler.ts';

/** What several dispatches come to in a step. */
export interface Sum {
  /** Milliseconds a step. */
  ms: number;
  /** Dispatches a step. */
  calls: number;
  /** Operations a step; 0 where none are counted. */
  flops: number;
}

/** A part of the step, or a kernel at the end of a branch. */
export interface Frame extends Sum {
  readonly name: string;
  readonly kernel: boolean;
  /** In the order in which they first ran. */
  readonly children: Frame[];
}

export interface ShapeSum extends Sum {
  readonly shape: string;
}

export interface KernelSum extends Sum {
  readonly label: string;
  /** The longest first. */
  readonly shapes: readonly ShapeSum[];
}

/**
 * The parts of a step, with dispatches of equal scopes and variants taken together, over all `steps` measured: the
 * outermost scope, which numbers the step, is left out.
 */
export function frameTree(dispatches: readonly Dispatch[], steps: number): Frame {
  const root = newFrame('step', false);
  for (const dispatch of dispatches) {
    let frame = root;
    add(frame, dispatch);
    for (const name of dispatch.path.slice(1)) {
      frame = childOf(frame, name, false);
      add(frame, dispatch);
    }
    add(childOf(frame, dispatch.label, true), dispatch);
  }
  const perStep = (frame: Frame): void => {
    divide(frame, steps);
    frame.children.forEach(perStep);
  };
  perStep(root);
  return root;
}

/** Times by kernel variant, the longest first. */
export function kernelSums(dispatches: readonly Dispatch[], steps: number): KernelSum[] {
  const byLabel = Map.groupBy(dispatches, ({ label }) => label);
  const sums = [...byLabel].map(([label, own]): KernelSum => {
    const shapes = [...Map.groupBy(own, shapeOf)].map(([shape, same]) => ({ shape, ...sum(same, steps) }));
    return { label, ...sum(own, steps), shapes: shapes.sort(longest) };
  });
  return sums.sort(longest);
}

/** Milliseconds a step between dispatches, in which the device waited or did what is not measured. */
export function idleMs(dispatches: readonly Dispatch[], steps: number): number {
  const gaps = dispatches.slice(1).map((dispatch, i) => dispatch.start - dispatches[i]!.end);
  return gaps.reduce((a, b) => a + b, 0) / steps;
}

/**
 * What a dispatch worked on: its dimensions, which kernels name by one capital letter ("M 384 N 192 K 64"), and
 * columns; a count where that is all there is; else its grid.
 */
export function shapeOf({ params, groups }: Pick<Dispatch, 'params' | 'groups'>): string {
  const named = Object.entries(params).filter(
    ([name, value]) => /^([A-Z]|t[01])$/.test(name) || (name === 'batch' && value > 1),
  );
  if (named.length > 0) return named.map(([name, value]) => `${name} ${value}`).join(' ');
  const count = params.count ?? params.size;
  return count === undefined ? `${groups.join('×')} workgroups` : `count ${count}`;
}

/** A variant's name as a reader wants it: `matmul-quad[ADD=false,BIAS=true,KU=4,unroll]` → `matmul-quad BIAS KU=4`. */
export function shortLabel(label: string): string {
  const [name, constants = ''] = label.split(/[[\]]/) as [string, string?];
  const told = constants
    .split(',')
    .filter(part => part !== '' && part !== 'unroll' && !part.endsWith('=false'));
  return [name, ...told.map(part => part.replace(/=true$/, ''))].join(' ');
}

/** The kernel's file name alone. */
export function kernelName(label: string): string {
  return label.split('[')[0]!;
}

function newFrame(name: string, kernel: boolean): Frame {
  return { name, kernel, children: [], ms: 0, calls: 0, flops: 0 };
}

function childOf(frame: Frame, name: string, kernel: boolean): Frame {
  const known = frame.children.find(child => child.name === name && child.kernel === kernel);
  if (known) return known;
  const child = newFrame(name, kernel);
  frame.children.push(child);
  return child;
}

function add(to: Sum, { start, end, flops }: Dispatch): void {
  to.ms += end - start;
  to.calls++;
  to.flops += flops;
}

function divide(total: Sum, steps: number): void {
  total.ms /= steps;
  total.calls /= steps;
  total.flops /= steps;
}

function sum(dispatches: readonly Dispatch[], steps: number): Sum {
  const total = { ms: 0, calls: 0, flops: 0 };
  for (const dispatch of dispatches) add(total, dispatch);
  divide(total, steps);
  return total;
}

function longest(a: Sum, b: Sum): number {
  return b.ms - a.ms;
}
