// What the bench's flags ask for: shapes, and which flags fit together.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planOf } from '../../bench/plan.ts';
import { parseShape, showDims } from '../../bench/shape.ts';
import { UserError } from '../../src/errors.ts';
import { attentionCase } from '../cases/attention.ts';
import { crossEntropyCase } from '../cases/cross-entropy.ts';
import { cases } from '../cases/index.ts';
import { seeded } from '../numbers.ts';

describe('shapes', () => {
  it('are M, N and K in this order, and come back as they were given', () => {
    expect(parseShape('384x192x64')).toEqual({ M: 384, N: 192, K: 64 });
    const side = fc.integer({ min: 1, max: 1024 });
    fc.assert(
      fc.property(side, side, side, (M, N, K) => {
        expect(parseShape(`${M}x${N}x${K}`)).toEqual({ M, N, K });
        expect(showDims({ M, N, K }).shape).toBe(`${M}x${N}x${K}`);
      }),
    );
  });

  it.each([
    '',
    '3',
    '3x4',
    '3x4x5x6',
    '0x4x5',
    '3x-4x5',
    '3X4X5',
    '3x4x5.5',
    ' 3x4x5',
    '3x4x',
    'axbxc',
    '1e3x4x5',
  ])('refuses %j', text => {
    expect(() => parseShape(text)).toThrow(UserError);
    expect(() => parseShape(text)).toThrow(
      '--shape must be MxNxK such as 384x192x64 (A is M×K, B is K×N), got',
    );
  });

  it('refuses a product whose reference would not end', () => {
    expect(() => parseShape('4096x4096x4096')).toThrow('reference check would take minutes');
  });

  it('shows what else tells rows apart, and leaves out what is off', () => {
    const sides = { M: 3, N: 4, K: 5 };
    expect(showDims({ ...sides, batch: 1, form: 2 })).toEqual({ shape: '3x4x5', form: 'tn' });
    expect(showDims({ ...sides, batch: 6, form: 0 })).toEqual({ shape: '3x4x5', form: 'nn batch=6' });
    expect(showDims({ ...sides, bias: 1, residual: 0 })).toEqual({ shape: '3x4x5', form: 'bias' });
    expect(showDims({ B: 2, T: 1 })).toEqual({ shape: 'B=2 T=1', form: '' });
  });
});

describe('plans', () => {
  it('without flags are every op at its bench shapes, and the only ones whose results are kept', () => {
    const plan = planOf({});
    expect(plan.cases.map(({ row, dims }) => [row.name, dims])).toEqual(
      cases.map(row => [row.name, row.bench]),
    );
    expect(plan.whole).toBe(true);
    expect(planOf({ op: 'gelu' }).whole).toBe(false);
    expect(planOf({ shape: [{ M: 1, N: 1, K: 1 }] }).whole).toBe(false);
  });

  it('give every form of a product at each shape', () => {
    const shape = [
      { M: 3, N: 4, K: 5 },
      { M: 6, N: 7, K: 8 },
    ];
    const [matmul] = planOf({ op: 'matmul', shape }).cases;
    expect(matmul!.dims).toEqual(
      shape.flatMap(sides => [0, 1, 2].map(form => ({ ...sides, batch: 1, form }))),
    );
    expect(planOf({ shape }).cases.map(({ row }) => row.name)).toEqual(['linear', 'matmul']);
  });

  it.each([
    [{ watch: true }, '--watch needs --op'],
    [{ watch: true, op: 'gelu', json: 'f' }, '--json is for one run'],
    [{ variant: 'thread' }, '--variant needs --op'],
    [{ variant: 'thread', op: 'gelu' }, 'gelu has one form only'],
    [
      { op: 'gelu', shape: [{ M: 1, N: 1, K: 1 }] },
      '--shape is for linear, matmul; gelu has shapes of its own',
    ],
  ] as const)('refuse %j', (flags, message) => {
    expect(() => planOf(flags)).toThrow(UserError);
    expect(() => planOf(flags)).toThrow(message);
  });
});

it('every op has shapes of training, of one column of a batch, and of one row', () => {
  for (const row of cases) {
    const rows = row.bench.map(({ M, R, B = 1, T = 1 }) => R ?? M ?? B * T);
    expect(Math.max(...rows), `${row.name}: training`).toBeGreaterThanOrEqual(300);
    expect(rows, `${row.name}: a column`).toContain(32);
    expect(Math.min(...rows), `${row.name}: generation`).toBeLessThanOrEqual(2);
  }
});

it('what is timed leaves out no work that is counted', () => {
  const attended = attentionCase.benchAttrs!({ B: 3, T: 7, H: 1, D: 4 }, seeded(1));
  expect(attended.first, 'no pads').toEqual(new Uint32Array(3));
  const { targets } = crossEntropyCase.benchAttrs!({ R: 200, V: 5 }, seeded(1));
  expect(Math.max(...targets), 'every row has a label').toBeLessThan(5);
});
