// The trace: events that a viewer can nest, on tracks that have names.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Interval, spansOf, type TraceEvent, traceOf } from '../../tools/profile/trace.ts';
import { measurement } from './timeline.ts';

type Complete = Extract<TraceEvent, { ph: 'X' }>;

const ABOUT = { title: 'a test' };
const complete = (events: readonly TraceEvent[], thread: string): Complete[] => {
  const named = events.find(e => e.ph === 'M' && e.name === 'thread_name' && e.args.name === thread)!;
  return events.filter(e => e.ph === 'X' && e.pid === named.pid && e.tid === named.tid) as Complete[];
};
const EPSILON = 1e-6;

/** Each event lies inside another or apart from it: nothing overlaps in part. */
function expectNested(events: readonly { ts: number; dur: number }[]): void {
  const open: { ts: number; dur: number }[] = [];
  for (const event of events) {
    expect(event.ts).toBeGreaterThanOrEqual(0);
    expect(event.dur).toBeGreaterThanOrEqual(0);
    while (open.length > 0 && event.ts >= open.at(-1)!.ts + open.at(-1)!.dur - EPSILON) open.pop();
    if (open.length > 0)
      expect(event.ts + event.dur).toBeLessThanOrEqual(open.at(-1)!.ts + open.at(-1)!.dur + EPSILON);
    open.push(event);
  }
}

const intervals = fc
  .array(
    fc.record({
      path: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }),
      gap: fc.integer({ min: 0, max: 3 }),
      length: fc.integer({ min: 1, max: 5 }),
    }),
    { maxLength: 25 },
  )
  .map(rows => {
    let at = 0;
    return rows.map(({ path, gap, length }): Interval => {
      const start = at + gap;
      at = start + length;
      return { path, start, end: at };
    });
  });

describe('spans', () => {
  it('stay open as long as their scope does', () => {
    const at = (path: string[], start: number, end: number): Interval => ({ path, start, end });
    expect(
      spansOf([
        at(['step 1', 'forward', 'block 0'], 0, 2),
        at(['step 1', 'forward', 'block 1'], 3, 4),
        at(['step 1', 'backward'], 4, 6),
        at(['step 2', 'forward', 'block 1'], 7, 9),
      ]),
    ).toEqual([
      { name: 'step 1', start: 0, end: 6 },
      { name: 'forward', start: 0, end: 4 },
      { name: 'block 0', start: 0, end: 2 },
      { name: 'block 1', start: 3, end: 4 },
      { name: 'backward', start: 4, end: 6 },
      { name: 'step 2', start: 7, end: 9 },
      { name: 'forward', start: 7, end: 9 },
      { name: 'block 1', start: 7, end: 9 },
    ]);
  });

  it('nest, and each moment lies in the scopes that were open', () => {
    fc.assert(
      fc.property(intervals, given => {
        const spans = spansOf(given);
        expectNested(spans.map(({ start, end }) => ({ ts: start, dur: end - start })));
        for (const { path, start, end } of given) {
          const around = spans.filter(span => span.start <= start && span.end >= end);
          expect(around.map(({ name }) => name)).toEqual(path);
        }
      }),
    );
  });
});

describe('the trace', () => {
  const { traceEvents, ...rest } = traceOf(measurement(), ABOUT);

  it('is what a viewer reads, and JSON', () => {
    expect(rest).toEqual({ displayTimeUnit: 'ms', otherData: ABOUT });
    expect(JSON.parse(JSON.stringify({ traceEvents }))).toEqual({ traceEvents });
  });

  it('has three tracks of nested events', () => {
    const names = traceEvents.flatMap(event => (event.name === 'thread_name' ? [event.args!.name] : []));
    expect(names).toEqual(['recording', 'parts of the step', 'kernels']);
    for (const name of names as string[]) {
      const events = complete(traceEvents, name);
      expect(events.length).toBeGreaterThan(0);
      expectNested(events);
    }
  });

  it('has every dispatch, in microseconds from the first event on, inside its parts', () => {
    const kernels = complete(traceEvents, 'kernels');
    expect(kernels).toHaveLength(12);
    // Recording began at 94 ms, the first dispatch at 100.
    expect(kernels[1]).toEqual({
      ...{ ph: 'X', name: 'matmul-quad BIAS KU=4', cat: 'kernel', pid: 2, tid: 2, ts: 7000, dur: 2000 },
      args: {
        variant: 'matmul-quad[ADD=false,BIAS=true,KU=4,unroll]',
        part: 'step 1 › forward › question › block 0 › linear',
        shape: 'M 8 N 4 K 2',
        workgroups: '1×1×1',
        'GFLOP/s': 0.002,
      },
    });
    const parts = complete(traceEvents, 'parts of the step');
    for (const { ts, dur, args } of kernels) {
      const around = parts.filter(part => part.ts <= ts && part.ts + part.dur >= ts + dur);
      expect(around.map(({ name }) => name).join(' › ')).toBe(args!.part);
    }
  });

  it('shows when each step was recorded', () => {
    const recorded = complete(traceEvents, 'recording').map(({ name, ts, dur }) => [name, ts, dur]);
    expect(recorded.slice(0, 4)).toEqual([
      ['step 1', 0, 3750],
      ['forward', 500, 1000],
      ['backward', 1500, 1000],
      ['optimizer', 2500, 1250],
    ]);
    expect(recorded[4]![0]).toBe('step 2');
  });
});
