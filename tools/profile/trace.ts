// A profile in Chrome's trace event format, which ui.perfetto.dev and chrome://tracing open. The format is that of
// Google's "Trace Event Format" document: complete events ("X") with times in microseconds, metadata events ("M")
// that name processes and threads. Knows measurements; writes nothing.
import type { Dispatch, Path } from '../../src/gpu/profiler.ts';
import type { Measurement } from './measure.ts';
import { shapeOf, shortLabel } from './tree.ts';

/** A time in which the same scopes were open. */
export interface Interval {
  readonly path: Path;
  readonly start: number;
  readonly end: number;
}

export interface Span {
  readonly name: string;
  readonly start: number;
  end: number;
}

export type TraceEvent =
  | {
      readonly ph: 'X';
      readonly name: string;
      readonly cat: string;
      readonly pid: number;
      readonly tid: number;
      /** Microseconds. */
      readonly ts: number;
      readonly dur: number;
      readonly args?: Readonly<Record<string, string | number>>;
    }
  | {
      readonly ph: 'M';
      readonly name: 'process_name' | 'thread_name' | 'process_sort_index' | 'thread_sort_index';
      readonly pid: number;
      readonly tid: number;
      readonly args: Readonly<Record<string, string | number>>;
    };

export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ms';
  readonly otherData: Readonly<Record<string, string>>;
}

const JAVASCRIPT = { pid: 1, tid: 1 };
const PARTS = { pid: 2, tid: 1 };
const KERNELS = { pid: 2, tid: 2 };

/** Three tracks: the recording in JavaScript and the parts of the step as nested spans, and the kernels. */
export function traceOf({ timeline, moments }: Measurement, about: Readonly<Record<string, string>>): Trace {
  const recording = moments.slice(1).map(
    ({ at }, i): Interval => ({
      path: moments[i]!.path,
      start: moments[i]!.at,
      end: at,
    }),
  );
  const zero = Math.min(timeline[0]?.start ?? Infinity, recording[0]?.start ?? Infinity);
  const microseconds = (ms: number): number => Math.round((ms - zero) * 1e6) / 1e3;
  const event = (
    track: { pid: number; tid: number },
    cat: string,
    { name, start, end }: Span,
    args?: Readonly<Record<string, string | number>>,
  ): TraceEvent => {
    const ts = microseconds(start);
    const dur = Math.max(0, Math.round((microseconds(end) - ts) * 1e3) / 1e3);
    return { ph: 'X', name, cat, ...track, ts, dur, ...(args && { args }) };
  };
  const kernel = (dispatch: Dispatch): TraceEvent => {
    const { label, start, end, flops, groups, path } = dispatch;
    const gflops = flops / (end - start) / 1e6;
    return event(
      KERNELS,
      'kernel',
      { name: shortLabel(label), start, end },
      {
        variant: label,
        part: path.join(' › '),
        shape: shapeOf(dispatch),
        workgroups: groups.join('×'),
        ...(flops > 0 && Number.isFinite(gflops) && { 'GFLOP/s': Number(gflops.toFixed(3)) }),
      },
    );
  };
  return {
    traceEvents: [
      ...named(JAVASCRIPT, 'JavaScript', 'recording'),
      ...named(PARTS, 'device', 'parts of the step'),
      ...named(KERNELS, 'device', 'kernels'),
      ...spansOf(recording).map(span => event(JAVASCRIPT, 'recording', span)),
      ...spansOf(timeline).map(span => event(PARTS, 'part', span)),
      ...timeline.map(kernel),
    ],
    displayTimeUnit: 'ms',
    otherData: about,
  };
}

/**
 * One span for every scope as long as it stayed open, an outer one before those in it. `intervals` are in order of
 * time and do not overlap; a scope that was open in one and in the next stayed open between them.
 */
export function spansOf(intervals: readonly Interval[]): Span[] {
  const spans: Span[] = [];
  let open: Span[] = [];
  for (const { path, start, end } of intervals) {
    const same = path.findIndex((name, depth) => open[depth]?.name !== name);
    open = open.slice(0, same < 0 ? path.length : same);
    for (const name of path.slice(open.length)) {
      const span = { name, start, end };
      open.push(span);
      spans.push(span);
    }
    for (const span of open) span.end = end;
  }
  return spans;
}

function named(track: { pid: number; tid: number }, process: string, thread: string): TraceEvent[] {
  return [
    { ph: 'M', name: 'process_name', ...track, args: { name: process } },
    { ph: 'M', name: 'process_sort_index', ...track, args: { sort_index: track.pid } },
    { ph: 'M', name: 'thread_name', ...track, args: { name: thread } },
    { ph: 'M', name: 'thread_sort_index', ...track, args: { sort_index: track.tid } },
  ];
}
