// The planner: cells of a matrix, their identities, what each depends on, and which fit into a budget.
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { type Cell, cellsOf, type TrainingCell, withPrerequisites } from '../../tools/experiment/cell.ts';
import type { Arm, Experiment, Options } from '../../tools/experiment/experiment.ts';
import { estimate, estimateAll, next, type Ran } from '../../tools/experiment/plan.ts';

const arm = (name: string, options: Options, from?: Options): Arm => ({
  name,
  factors: {},
  minutes: 1,
  work: {
    kind: 'train',
    options,
    looks: [],
    ...(from && { from: { name: `before ${name}`, options: from, minutes: 2 } }),
  },
});

const experiment = (arms: readonly Arm[]): Experiment => ({
  name: 'x',
  question: '?',
  about: '',
  seeds: 3,
  arms,
  sections: [],
});

const cellOf = (options: Options, seed = 0, from?: Options): TrainingCell =>
  cellsOf(experiment([arm('a', options, from)]), seed + 1)[seed] as TrainingCell;

describe('the identity of a cell', () => {
  const base: Options = { preset: 'pointer', batch: 8, lr: 2e-3 };
  const id = (options: Options, seed = 0, from?: Options): string => cellOf(options, seed, from).id;

  it('is of all options together, however they came about', () => {
    expect(id({ lr: 2e-3, batch: 8, preset: 'pointer' })).toBe(id(base));
    // The preset's own value, said again; the default's own value, said again.
    expect(id({ ...base, width: 96 })).toBe(id(base));
    expect(id({ ...base, beta1: 0.9 })).toBe(id(base));
    // Another preset, with every option of this one that a flag can say.
    const aside = ['preset', 'seed', 'adapter', 'out', 'compare'];
    const given = Object.entries(cellOf(base).options).filter(
      ([key, value]) => value !== null && !aside.includes(key),
    );
    expect(id({ ...(Object.fromEntries(given) as Options), preset: 'smoke' })).toBe(id(base));
  });

  it('differs with every option that matters, with the seed and with the model that it starts from', () => {
    const changes: Options[] = [
      { mode: 'cot' },
      { bptt: 1 },
      { steps: 7 },
      { nodes: 9 },
      { hops: [3, 4] },
      { width: 64 },
      { batch: 9 },
      { lr: 1e-3 },
      { beta2: 0.98 },
      { stageSteps: [5, 5, 5, 5] },
      { endMarker: 'always' },
      { evalSamples: 7 },
    ];
    const ids = changes.map(change => id({ ...base, ...change }));
    const others = [
      id(base),
      id(base, 1),
      id(base, 0, base),
      id(base, 0, { ...base, batch: 9 }),
      id(base, 1, base),
    ];
    expect(new Set([...ids, ...others]).size).toBe(changes.length + others.length);
  });

  it('is not of the name', () => {
    const [a, b] = cellsOf(experiment([arm('a', base), arm('b', base)]), 1);
    expect(a!.id).toBe(b!.id);
  });

  it('is of the repetition, where a bench measures', () => {
    const bench: Arm = {
      name: 'bench',
      factors: {},
      minutes: 1,
      work: { kind: 'measure', script: 'bench/x.ts', flags: ['--only', 'tax'] },
    };
    const ids = cellsOf(experiment([bench]), 3).map(cell => cell.id);
    expect(new Set(ids).size).toBe(3);
  });
});

test('flags say what the matrix says, and the seed', () => {
  const { flags } = cellOf(
    { preset: 'pointer', hops: [3, 4], padLatents: false, stageSteps: [1, 2, 3, 4], lr: 1e-4 },
    2,
  );
  expect(flags.join(' ')).toBe(
    '--preset pointer --seed 2 --hops 3-4 --lr 1e-4 --stage-steps 1,2,3,4 --no-pad-latents',
  );
});

describe('a matrix that cannot be run is one line', () => {
  const refused = (options: Options, looks: 'stages' | 'end' = 'end', from?: Options): (() => Cell[]) => {
    const made = arm('a', options, from);
    const work = { ...made.work, looks: [{ at: looks, flags: [] }] } as Arm['work'];
    return () => cellsOf(experiment([{ ...made, work }]), 1);
  };
  it.each<[string, () => Cell[], RegExp]>([
    ['an illegal value', refused({ batch: 0 }), /^the arm "a": batch must be a positive integer, got 0$/],
    [
      'a contradiction',
      refused({ hops: [8, 8], nodes: 8 }),
      /^the arm "a": --hops 8 needs more than 8 nodes/,
    ],
    [
      'a model of another size than the one it starts from',
      refused({ width: 64 }, 'end', {}),
      /^the arm "a": --width contradicts --init/,
    ],
    [
      'looks where no checkpoint is',
      refused({ preset: 'pointer' }, 'stages'),
      /looks at stages need a checkpoint/,
    ],
  ])('%s', (_, plan, fault) => {
    expect(plan).toThrow(fault);
  });

  it('and none where the checkpoints are', () => {
    expect(refused({ preset: 'pointer', checkpointEvery: 25 }, 'stages')).not.toThrow();
  });
});

// Random matrices: arms that start from nothing, from one of a few models, and whose times are whatever they are.

const arms = fc
  .array(
    fc.record({
      lr: fc.constantFrom(1e-3, 2e-3, 3e-3),
      from: fc.option(fc.constantFrom(4, 8, 16)),
      minutes: fc.integer({ min: 1, max: 9 }),
    }),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map(list =>
    list.map(({ lr, from, minutes }, i) => ({
      ...arm(
        `arm ${i}`,
        { preset: 'smoke', lr },
        from === null ? undefined : { preset: 'smoke', batch: from },
      ),
      minutes,
    })),
  );

describe('the order of cells', () => {
  it('has every arm with every seed once, seed by seed, and each prerequisite once, before what needs it', () => {
    fc.assert(
      fc.property(arms, fc.integer({ min: 1, max: 4 }), (list, seeds) => {
        const cells = cellsOf(experiment(list), seeds);
        expect(cells.map(cell => [cell.arm, cell.seed])).toEqual(
          Array.from({ length: seeds }, (_, seed) => list.map(({ name }) => [name, seed])).flat(),
        );
        const order = withPrerequisites(cells);
        expect(order.filter(cell => cells.includes(cell))).toEqual(cells);
        const added = order.filter(cell => !cells.includes(cell));
        expect(new Set(added.map(({ id }) => id)).size).toBe(added.length);
        for (const cell of cells) {
          const from = cell.kind === 'train' ? cell.from : null;
          if (from === null) continue;
          expect(from.seed).toBe(cell.seed);
          const at = order.findIndex(({ id }) => id === from.id);
          expect(at).toBeGreaterThanOrEqual(0);
          expect(at).toBeLessThan(order.indexOf(cell));
        }
      }),
    );
  });
});

describe('estimates', () => {
  const timed = { id: '1', arm: 'a', minutes: 3 };

  it('are what is declared, then as much longer as what has run was, then what the arm itself took', () => {
    expect(estimate(timed, [])).toBe(180);
    const others: Ran[] = [
      { arm: 'b', minutes: 1, seconds: 90 },
      { arm: 'c', minutes: 3, seconds: 270 },
    ];
    expect(estimate(timed, others)).toBeCloseTo(270);
    expect(
      estimate(timed, [
        ...others,
        { arm: 'a', minutes: 3, seconds: 100 },
        { arm: 'a', minutes: 3, seconds: 200 },
      ]),
    ).toBe(150);
  });

  it('of several cells are their sum', () => {
    const cells = [timed, { id: '2', arm: 'b', minutes: 1 }];
    expect(estimateAll(cells, [{ arm: 'a', minutes: 3, seconds: 60 }])).toBeCloseTo(60 + 20);
    expect(estimateAll([], [])).toBe(0);
  });
});

describe('a budget', () => {
  /** Runs cells, each as long as `seconds` says, as a session does; what was run and what was left. */
  function simulate(list: readonly Arm[], seeds: number, budget: number, seconds: (cell: Cell) => number) {
    let left = withPrerequisites(cellsOf(experiment(list), seeds)).map(cell => ({
      ...{ cell, id: cell.id, arm: cell.arm, minutes: cell.minutes },
      from: cell.kind === 'train' ? cell.from : null,
    }));
    const run: { id: string; from: string | undefined; begun: number; guess: number }[] = [];
    const ran: Ran[] = [];
    let elapsed = 0;
    for (;;) {
      const chosen = next(left, ran, budget - elapsed);
      if (!chosen) return { run, left, elapsed, ran };
      run.push({ id: chosen.id, from: chosen.from?.id, begun: elapsed, guess: estimate(chosen, ran) });
      elapsed += seconds(chosen.cell);
      ran.push({ arm: chosen.arm, minutes: chosen.minutes, seconds: seconds(chosen.cell) });
      left = left.filter(other => other !== chosen);
    }
  }

  it('starts no cell that would not be done by then, and none before the one that it starts from', () => {
    fc.assert(
      fc.property(
        arms,
        fc.integer({ min: 0, max: 6000 }),
        fc.double({ min: 0.1, max: 5, noNaN: true }),
        (list, budget, pace) => {
          const { run, left, ran } = simulate(list, 2, budget, cell => 60 * pace * cell.minutes);
          for (const { id, from, begun, guess } of run) {
            expect(begun + guess).toBeLessThanOrEqual(budget + 1e-6);
            const at = run.findIndex(other => other.id === id);
            if (from !== undefined) expect(run.findIndex(other => other.id === from)).toBeLessThan(at);
          }
          // What is left was refused for its time, or for that of what it starts from or is started from.
          const used = ran.reduce((sum, { seconds }) => sum + seconds, 0);
          const ids = new Set(left.map(({ id }) => id));
          for (const cell of left) {
            if (cell.from && ids.has(cell.from.id)) continue;
            const needing = left
              .filter(({ from }) => from?.id === cell.id)
              .map(other => estimate(other, ran));
            const most = estimate(cell, ran) + (needing.length > 0 ? Math.min(...needing) : 0);
            expect(most).toBeGreaterThan(budget - used - 1e-6);
          }
        },
      ),
    );
  });

  it('without an end runs all', () => {
    fc.assert(
      fc.property(arms, list => {
        expect(simulate(list, 2, Number.POSITIVE_INFINITY, () => 1).left).toEqual([]);
      }),
    );
  });

  it('is not spent on a prerequisite that would leave no time for what needs it', () => {
    const from: Options = { preset: 'smoke', batch: 4 };
    const list = [arm('long', { preset: 'smoke' }, from), arm('short', { preset: 'smoke', lr: 1e-3 })];
    const { run } = simulate(list, 1, 150, cell => 60 * cell.minutes);
    expect(run.map(({ id }) => id)).toEqual([cellOf({ preset: 'smoke', lr: 1e-3 }).id]);
  });
});
