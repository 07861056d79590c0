// Ops at their limits: tables over the binding limit, folded grids, extreme numbers, ids out of range.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Gpu } from '../src/gpu/gpu.ts';
import { crossEntropy } from '../src/ops/cross-entropy.ts';
import { embedding, embeddingAttrs } from '../src/ops/embedding.ts';
import { gatherAttrs } from '../src/ops/gather-rows.ts';
import { gelu } from '../src/ops/gelu.ts';
import type { RowForm } from '../src/ops/launch.ts';
import { layernorm } from '../src/ops/layernorm.ts';
import { NONE, scatterPlan } from '../src/ops/scatter.ts';
import { sliceRows } from '../src/ops/slice-rows.ts';
import { empty, read, upload } from '../src/tensor.ts';
import { addCase } from './cases/add.ts';
import type { Dims, OpCase } from './cases/case.ts';
import { crossEntropyCase } from './cases/cross-entropy.ts';
import { embeddingCase } from './cases/embedding.ts';
import { gatherRowsCase } from './cases/gather-rows.ts';
import { geluCase } from './cases/gelu.ts';
import { layernormCase } from './cases/layernorm.ts';
import { lookupCase } from './cases/lookup.ts';
import { softmaxCase } from './cases/softmax.ts';
import { checkCase } from './check-case.ts';
import { testGpu } from './device.ts';
import { relativeError } from './numbers.ts';

const gpu = await testGpu();
/** Grids fold after seven workgroups. */
const folding = await testGpu({ limits: { maxGroups: 7 } });
/** Bindings of 4 KiB. */
const narrow = await testGpu({ poison: false, limits: { maxBinding: 4096 } });

describe('large tensors', () => {
  it('fold their grids', async () => {
    await checkCase(folding, layernormCase, { M: 599, C: 3 }, 1);
    await checkCase(folding, addCase, { M: 61, C: 67 }, 2);
    await checkCase(folding, geluCase, { M: 61, C: 67 }, 3);
    await checkCase(folding, embeddingCase, { V: 97, P: 31, M: 601, C: 7, row0: 3, fed: 103, masked: 1 }, 4);
    await checkCase(folding, gatherRowsCase, { M: 601, C: 7, R: 500 }, 5);
    await checkCase(folding, crossEntropyCase, { R: 301, V: 5 }, 7);
    await checkCase(folding, lookupCase, { M: 301, V: 9, C: 7 }, 8);
    await checkCase(folding, softmaxCase, { R: 151, V: 5 }, 9);
  });

  it('are bound in pieces where a binding cannot span them', async () => {
    await checkCase(narrow, embeddingCase, { V: 300, P: 20, M: 60, C: 5, row0: 0, fed: 60, masked: 1 }, 1);
    await checkCase(narrow, embeddingCase, { V: 129, P: 9, M: 50, C: 16, row0: 2, fed: 7, masked: 0 }, 2);
    await checkCase(narrow, crossEntropyCase, { R: 150, V: 13 }, 3);
    await checkCase(narrow, geluCase, { M: 50, C: 61 }, 4);
    await checkCase(narrow, lookupCase, { M: 30, V: 300, C: 5 }, 6);
    await checkCase(narrow, softmaxCase, { R: 150, V: 13 }, 7);
    await checkCase(narrow, addCase, { M: 50, C: 61 }, 5);
  });
});

/** A row whose op is told to take one form of its kernels. */
function inForm<D extends Dims, A>(row: OpCase<D, A>, form: RowForm): OpCase<D, A> {
  return {
    ...row,
    name: `${row.name}, ${form} form`,
    attrs(device, cpuAttrs, dims) {
      const { attrs, owned } = row.attrs(device, cpuAttrs, dims);
      return { attrs: { ...(attrs as object), form }, owned };
    },
  };
}

describe.each(['thread', 'workgroup'] as const)('the %s form', form => {
  it('of LayerNorm agrees with the reference', async () => {
    const row = inForm(layernormCase, form);
    for (const [i, dims] of row.fixed.entries()) await checkCase(gpu, row, dims, i);
    await fc.assert(
      fc.asyncProperty(row.dims, fc.nat(), (dims, seed) => checkCase(gpu, row, dims, seed)),
      { numRuns: 10, seed: 5 },
    );
    await checkCase(folding, row, { M: 23, C: 65 }, 1);
  });

  it('of cross-entropy agrees with the reference', async () => {
    const row = inForm(crossEntropyCase, form);
    for (const [i, dims] of row.fixed.entries()) await checkCase(gpu, row, dims, i);
    await fc.assert(
      fc.asyncProperty(row.dims, fc.nat(), (dims, seed) => checkCase(gpu, row, dims, seed)),
      { numRuns: 10, seed: 6 },
    );
    await checkCase(folding, row, { R: 23, V: 129 }, 1);
  });

  it('of softmax agrees with the reference', async () => {
    const row = inForm(softmaxCase, form);
    for (const [i, dims] of row.fixed.entries()) await checkCase(gpu, row, dims, i);
    await fc.assert(
      fc.asyncProperty(row.dims, fc.nat(), (dims, seed) => checkCase(gpu, row, dims, seed)),
      { numRuns: 10, seed: 7 },
    );
    await checkCase(folding, row, { R: 23, V: 129 }, 1);
  });
});

async function geluOf(device: Gpu, values: number[]): Promise<{ y: Float32Array; dx: Float32Array }> {
  const x = upload(device, Float32Array.from(values), [values.length]);
  const dy = upload(device, new Float32Array(values.length).fill(1), [values.length]);
  const dx = empty(device, [values.length]);
  const { output } = gelu.forward(device, { x }, undefined);
  if (gelu.backward !== 'not differentiable')
    gelu.backward(device, { inputs: { x }, attrs: undefined, output, saved: {} }, dy, {
      x: { tensor: dx, beta: 0 },
    });
  const result = { y: await read(output), dx: await read(dx) };
  for (const tensor of [x, dy, dx, output]) tensor.free();
  return result;
}

describe('extreme numbers', () => {
  it('GELU is x or 0 far from 0, with slope 1 or 0', async () => {
    const { y, dx } = await geluOf(gpu, [-1e30, -1e4, -88, -10.5, 0, 10.5, 88, 1e4, 1e30]);
    expect(relativeError(y.subarray(4), [0, 10.5, 88, 1e4, 1e30])).toBeLessThan(1e-7);
    for (const value of y.subarray(0, 4)) expect(Math.abs(value)).toBeLessThan(1e-6);
    expect(relativeError(dx, [0, 0, 0, 0, 0.5, 1, 1, 1, 1])).toBeLessThan(1e-7);
  });

  it('cross-entropy survives logits in the thousands', async () => {
    const logits = upload(
      gpu,
      Float32Array.of(3000, 2990, -4000, -1e30, -1e30, -1e30, 1000, 1000, 1000),
      [3, 3],
    );
    const targets = upload(gpu, Uint32Array.of(1, 2, 0), [3]);
    const { output, saved } = crossEntropy.forward(gpu, { logits }, { targets, scale: 1 });
    const losses = [10 + Math.log1p(Math.exp(-10)), Math.log(3), Math.log(3)];
    expect(relativeError(await read(output), [losses.reduce((a, b) => a + b)])).toBeLessThan(1e-6);
    const p = 1 / (1 + Math.exp(-10));
    const expected = [p, -p, 0, 1 / 3, 1 / 3, -2 / 3, -2 / 3, 1 / 3, 1 / 3];
    expect(relativeError(await read(saved.dlogits), expected)).toBeLessThan(1e-6);
    for (const tensor of [logits, targets, output, saved.dlogits]) tensor.free();
  });

  it('cross-entropy without labels is 0, whatever the logits hold', async () => {
    const logits = upload(gpu, Float32Array.of(NaN, 1, NaN, Infinity), [2, 2]);
    const targets = upload(gpu, Uint32Array.of(NONE, NONE), [2]);
    const { output, saved } = crossEntropy.forward(gpu, { logits }, { targets, scale: 1 });
    expect(Array.from(await read(output))).toEqual([0]);
    expect(Array.from(await read(saved.dlogits))).toEqual([0, 0, 0, 0]);
    for (const tensor of [logits, targets, output, saved.dlogits]) tensor.free();
  });

  it('LayerNorm keeps a small spread on a large offset', async () => {
    const values = Array.from({ length: 64 }, (_, c) => 4096 + (c % 4) / 4);
    const x = upload(gpu, Float32Array.from(values), [1, 64]);
    const [gamma, beta] = [1, 0].map(v => upload(gpu, new Float32Array(64).fill(v), [64])) as [
      typeof x,
      typeof x,
    ];
    const { output, saved } = layernorm.forward(gpu, { x, gamma, beta }, { eps: 1e-5 });
    const rstd = 1 / Math.sqrt(5 / 64 + 1e-5); // variance of 0, 1/4, 2/4, 3/4
    expect(
      relativeError(
        await read(output),
        values.map(v => (v - 4096.375) * rstd),
      ),
    ).toBeLessThan(2e-3);
    for (const tensor of [x, gamma, beta, output, ...Object.values(saved)]) tensor.free();
  });

  it('a hidden state that is masked out may be NaN', async () => {
    const wpe = upload(gpu, Float32Array.of(1, 2, 3, 4), [2, 2]);
    const [ids, positions] = [Uint32Array.of(NONE, NONE), Uint32Array.of(0, 1)];
    const attrs = embeddingAttrs(gpu, ids, positions, { vocabulary: 2, columns: 2 });
    const hidden = upload(gpu, Float32Array.of(NaN, Infinity, 5, 6), [2, 2]);
    const mask = upload(gpu, Uint32Array.of(0, 1), [2]);
    const { output } = embedding.forward(gpu, { wte: wpe, wpe, hidden }, { ...attrs, mask });
    expect(Array.from(await read(output))).toEqual([1, 2, 8, 10]);
    for (const tensor of [wpe, hidden, mask, output, attrs.ids, attrs.positions]) tensor.free();
  });
});

describe('scatterPlan', () => {
  it('lists every row once, by id and then in order', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat({ max: 12 }), fc.constant(NONE)), { maxLength: 60 }), ids => {
        const { distinct, offsets, order } = scatterPlan(Uint32Array.from(ids), 13);
        const expected = ids
          .map((id, row) => ({ id, row }))
          .filter(({ id }) => id !== NONE)
          .sort((a, b) => a.id - b.id || a.row - b.row);
        expect(Array.from(order)).toEqual(expected.map(({ row }) => row));
        expect(Array.from(distinct)).toEqual([...new Set(expected.map(({ id }) => id))]);
        const spans = Array.from(distinct, (id, n) => Array(offsets[n + 1]! - offsets[n]!).fill(id)).flat();
        expect(spans).toEqual(expected.map(({ id }) => id));
      }),
    );
  });

  it('names an id out of range', () => {
    expect(() => scatterPlan(Uint32Array.of(1, 13), 13)).toThrow(/token id 13 \(row 1\).* has 13/);
    expect(() =>
      embeddingAttrs(gpu, Uint32Array.of(1), Uint32Array.of(8), { vocabulary: 2, columns: 8 }),
    ).toThrow(/position 8/);
  });
});

it('bad shapes and rows are refused by name', () => {
  const x = upload(gpu, new Float32Array(6), [2, 3]);
  const g = upload(gpu, new Float32Array(2), [2]);
  expect(() => layernorm.forward(gpu, { x, gamma: g, beta: g }, { eps: 1 })).toThrow(
    /layernorm: gamma .*\[2\].*\[3\]/,
  );
  expect(() => sliceRows.forward(gpu, { x }, { from: 1, to: 3 })).toThrow(/slice-rows: rows 1 to 3/);
  expect(() => gatherAttrs(gpu, Uint32Array.of(2), 2)).toThrow(/row 2 of 2/);
  expect(() => gatherAttrs(gpu, Uint32Array.of(1, 1), 2)).toThrow(/row 1 is picked twice/);
  for (const tensor of [x, g]) tensor.free();
});
