// Every op against its float64 reference: fixed odd and degenerate shapes, and shapes that fast-check draws.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ops } from '../src/ops/index.ts';
import { cases } from './cases/index.ts';
import { checkCase, checkReference } from './check-case.ts';
import { testGpu } from './device.ts';

const gpu = await testGpu();

it('has a row for every op', () => {
  expect(cases.map(row => row.name).sort()).toEqual(Object.keys(ops).sort());
});

describe.each(cases.map(row => [row.name, row] as const))('%s', (_, row) => {
  it('has a reference whose backward is the derivative of its forward', () => {
    for (const dims of row.fixed) checkReference(row, dims, 1);
  });

  it('agrees with the reference on odd and degenerate shapes', async () => {
    for (const [i, dims] of row.fixed.entries()) await checkCase(gpu, row, dims, i);
  });

  it('agrees with the reference on drawn shapes', async () => {
    const property = fc.asyncProperty(row.dims, fc.nat(), (dims, seed) => checkCase(gpu, row, dims, seed));
    await fc.assert(property, { numRuns: 15, seed: 7 });
  });
});
