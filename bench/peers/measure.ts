// One piece of work on all engines: each is checked against the reference, then timed in turns. Knows engines in their
// processes; knows none by itself.
import { checkOf } from './check.ts';
import { Cannot } from './engine.ts';
import type { EngineName } from './names.ts';
import { median, spread } from './numbers.ts';
import type { Remote } from './remote.ts';
import type { Row } from './row.ts';
import { flopsOf, nameOf, shapeOf, type Work } from './work.ts';

/** A turn takes about so long, so that starting and waiting do not count. */
const TURN_MS = 20;
const MOST_CALLS = 64;
/** Work that took so long the first time is not tried out once more. */
const SLOW_MS = 3000;
/** An engine whose turn takes so long gets no other. */
const ONE_TURN_MS = 10_000;
/** There and back through the engines, until this has passed: at least once, at most MOST_TRIPS times. */
const BUDGET_MS = 1200;
const MOST_TRIPS = 6;

/** The numbers of a row that has none. */
const NOTHING = { ms: null, spread: null, gflops: null, ratio: null, tokensPerSecond: null } as const;

interface Ready {
  readonly remote: Remote;
  readonly note: string;
  readonly calls: number;
  readonly samples: number[];
}

/** A row an engine, ours first. The engines take turns in this order and back: what drifts meets them all alike. */
export async function measure(work: Work, remotes: readonly Remote[]): Promise<Row[]> {
  const check = checkOf(work);
  const ready: Ready[] = [];
  const reasons = new Map<EngineName, string>();
  for (const remote of remotes)
    try {
      const { results, note, ms } = await remote.prepare(work);
      const { error, ok } = check(results);
      if (!ok) throw new Cannot(`wrong, by ${error.toExponential(1)}`);
      const once = ms > SLOW_MS ? ms : await remote.time(1);
      const calls = Math.min(MOST_CALLS, Math.max(1, Math.round(TURN_MS / once)));
      ready.push({ remote, note, calls, samples: [] });
    } catch (error) {
      if (!(error instanceof Cannot)) throw error;
      reasons.set(remote.name, `cannot: ${error.message}`);
      await free(remote);
    }

  const start = performance.now();
  for (let trip = 0; trip < MOST_TRIPS; trip++) {
    for (const engine of [...ready, ...ready.toReversed()])
      try {
        if (reasons.has(engine.remote.name) || isLong(engine)) continue;
        engine.samples.push(await engine.remote.time(engine.calls));
      } catch (error) {
        if (!(error instanceof Cannot)) throw error;
        reasons.set(engine.remote.name, `cannot: ${error.message}`);
      }
    if (performance.now() - start > BUDGET_MS) break;
  }
  for (const { remote } of ready) await free(remote);

  const measured = new Map(ready.map(engine => [engine.remote.name, engine]));
  const ours = measured.get('ours');
  const reference = ours && !reasons.has('ours') ? median(ours.samples) : null;
  return remotes.map(({ name }): Row => {
    const common = { op: nameOf(work), shape: shapeOf(work), engine: name };
    const engine = measured.get(name);
    const reason = reasons.get(name);
    if (!engine || reason !== undefined) return { ...common, ...NOTHING, note: reason ?? '' };
    const ms = median(engine.samples);
    return {
      ...common,
      ms,
      spread: spread(engine.samples),
      gflops: flopsOf(work) > 0 ? flopsOf(work) / ms / 1e6 : null,
      ratio: reference === null ? null : ms / reference,
      tokensPerSecond: work.op === 'generation' ? (1000 * work.B * work.tokens) / ms : null,
      note: [engine.note, isLong(engine) && 'one turn'].filter(Boolean).join('; '),
    };
  });
}

function isLong({ samples, calls }: Ready): boolean {
  return samples.some(ms => ms * calls > ONE_TURN_MS);
}

/** An engine that fails even at this begins afresh. */
async function free(remote: Remote): Promise<void> {
  await remote.free().catch(() => remote.stop());
}

/** Rows of the backward pass alone: both passes less the forward pass, engine by engine. */
export function backwardRows(forward: readonly Row[], both: readonly Row[], op: string): Row[] {
  const difference = ({ engine, ms, spread, shape }: Row): Omit<Row, 'ratio'> => {
    const alone = forward.find(row => row.engine === engine);
    const ok = ms !== null && alone?.ms != null && ms > alone.ms;
    return {
      op: `${op} backward`,
      shape,
      engine,
      ...NOTHING,
      ...(ok && { ms: ms - alone.ms!, spread: spread! + alone.spread! }),
      note: ok ? 'by difference' : (both.find(row => row.engine === engine)?.note ?? ''),
    };
  };
  const rows = both.map(difference);
  const ours = rows.find(({ engine }) => engine === 'ours')?.ms ?? null;
  return rows.map(row => ({ ...row, ratio: ours === null || row.ms === null ? null : row.ms / ours }));
}
