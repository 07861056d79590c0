// Two repairs of wgsl_reflect 1.6.0's race detector, made on its classes for the whole process. What counts as a
// race is unchanged: two threads of a workgroup touch the same bytes between two barriers, and one of them writes.
//
// Order. The detector steps the threads in turn, but keeps the result of a helper function's call in the syntax
// tree, which they share, so a thread may go on with another's result. Here each thread runs to its next barrier
// before the next one begins, which the detector cannot tell apart. Goes when a result is kept by thread there.
//
// (A barrier that is the first statement of a block still goes unseen, as a false race: put it after another one.)
//
// Speed. The detector compares every pair of accesses; a 64 × 16 tile takes minutes. Here each word remembers who
// wrote and read it, which takes a second. Goes when it is linear there.
import { MemoryTracker, WorkgroupScheduler } from 'wgsl_reflect/wgsl_reflect.module.js';

/** States of a thread in wgsl_reflect: its enum is not exported. */
const RUNNING = 0;
const AT_BARRIER = 1;
const DONE = 2;

interface Thread {
  readonly index: number;
  readonly stack: unknown;
  state: number;
  barrierNode: unknown;
}

/** The private side of WorkgroupScheduler. */
interface Scheduler {
  readonly _debug: { stepStack(stack: unknown, skipBarriers: boolean): void };
  readonly _tracker: { currentInvocation: number; currentLine: number; endPhase(): void };
  readonly _invocations: readonly Thread[];
  _peek(thread: Thread): { readonly line: number } | null;
  _asBarrier(command: { readonly line: number }): unknown;
  _syncBarrier(parked: readonly Thread[]): void;
}

interface Access {
  readonly bufferId: string;
  readonly offset: number;
  readonly size: number;
  readonly kind: 'read' | 'write';
  readonly atomic: boolean;
  readonly invocation: number;
  readonly line: number;
}

/** The private side of MemoryTracker. */
interface Tracker {
  _phase: Access[];
  readonly races: { bufferId: string; byte: number; a: Access; b: Access; message: string }[];
}

export function repairDetector(): void {
  WorkgroupScheduler.prototype.run = function (this: WorkgroupScheduler): void {
    run(this as unknown as Scheduler);
  };
  MemoryTracker.prototype.endPhase = function (this: MemoryTracker): void {
    endPhase(this as unknown as Tracker);
  };
}

function run(scheduler: Scheduler): void {
  for (;;) {
    for (const thread of scheduler._invocations) runToBarrier(scheduler, thread);
    const parked = scheduler._invocations.filter(({ state }) => state === AT_BARRIER);
    if (parked.length === 0) break;
    scheduler._syncBarrier(parked);
  }
  scheduler._tracker.endPhase();
}

function runToBarrier(scheduler: Scheduler, thread: Thread): void {
  while (thread.state === RUNNING) {
    const command = scheduler._peek(thread);
    if (command === null) {
      thread.state = DONE;
      return;
    }
    thread.barrierNode = scheduler._asBarrier(command);
    if (thread.barrierNode !== null) {
      thread.state = AT_BARRIER;
      return;
    }
    scheduler._tracker.currentInvocation = thread.index;
    scheduler._tracker.currentLine = command.line;
    scheduler._debug.stepStack(thread.stack, true);
  }
}

/** Of one word: the first access of a kind, and the first of the same kind by another thread. */
interface Word {
  readonly byte: number;
  read?: [Access, Access?];
  write?: [Access, Access?];
}

function endPhase(tracker: Tracker): void {
  const words = new Map<string, Word>();
  for (const access of tracker._phase.splice(0)) {
    if (access.atomic) continue; // WGSL lets only atomic operations touch what one of them touches.
    for (let byte = access.offset; byte < access.offset + access.size; byte += 4) {
      const key = `${access.bufferId} ${byte}`;
      const word: Word = words.get(key) ?? { byte };
      words.set(key, word);
      const known = word[access.kind];
      if (!known) word[access.kind] = [access];
      else if (known[0].invocation !== access.invocation) known[1] ??= access;
    }
  }
  for (const { byte, read, write } of words.values()) {
    const [a, second] = write ?? [];
    if (!a) continue;
    const b = second ?? read?.find(access => access && access.invocation !== a.invocation);
    if (!b) continue;
    const { bufferId } = a;
    const message = `thread ${a.invocation} writes byte ${byte} of ${bufferId} while thread ${b.invocation} ${b.kind}s it in line ${b.line}`;
    tracker.races.push({ bufferId, byte, a, b, message });
  }
}
