// Cross-entropy's row. Logits differ by at most 4, so that no row's loss is so near 0 that the rounding of
// float32 logits alone is 1e-5 of it; large logits are in test/ops-limits.test.ts.
import fc from 'fast-check';
import { crossEntropy } from '../../src/ops/cross-entropy.ts';
import { NONE } from '../../src/ops/scatter.ts';
import { upload } from '../../src/tensor.ts';
import { type Arr, arr, type OpCase, ROW_FORMS } from './case.ts';

interface Dims extends Record<string, number> {
  R: number;
  V: number;
}

interface CpuAttrs {
  readonly targets: Uint32Array;
  readonly scale: number;
}

/** log of the sum of exponentials of row r. */
function logSumExp(logits: Arr, r: number): number {
  const V = logits.shape[1]!;
  const row = logits.data.subarray(r * V, (r + 1) * V);
  const top = row.reduce((a, b) => Math.max(a, b));
  return top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
}

export const crossEntropyCase: OpCase<Dims, CpuAttrs> = {
  name: 'cross-entropy',
  op: crossEntropy,
  dims: fc.record({ R: fc.integer({ min: 1, max: 40 }), V: fc.integer({ min: 1, max: 50 }) }),
  fixed: [
    { R: 1, V: 1 },
    { R: 1, V: 2 },
    { R: 17, V: 8 },
    { R: 18, V: 4 },
    { R: 35, V: 20 },
    { R: 33, V: 7 },
    { R: 5, V: 1009 },
    { R: 300, V: 41 },
  ],
  bench: [
    { R: 2048, V: 64 },
    { R: 128, V: 64 },
    { R: 16, V: 64 },
    { R: 32, V: 8192 },
    { R: 1, V: 50257 },
  ],
  cpuAttrs: ({ R, V }, random) => ({
    targets: Uint32Array.from({ length: R }, () => (random() < 0.2 ? NONE : Math.floor(random() * V))),
    scale: Math.fround(1 / R),
  }),
  benchAttrs: ({ R, V }, random) => ({
    targets: Uint32Array.from({ length: R }, () => Math.floor(random() * V)),
    scale: Math.fround(1 / R),
  }),
  inputs: ({ R, V }, random) => ({ logits: arr([R, V], () => Math.fround(4 * random() - 1)) }),
  forward({ logits }, { targets, scale }) {
    const V = logits!.shape[1]!;
    const loss = arr([1]);
    for (const [r, target] of targets.entries())
      if (target !== NONE) loss.data[0]! += scale * (logSumExp(logits!, r) - logits!.data[r * V + target]!);
    return loss;
  },
  backward({ logits }, { targets, scale }, dloss) {
    const V = logits!.shape[1]!;
    const dlogits = arr(logits!.shape);
    for (const [r, target] of targets.entries()) {
      if (target === NONE) continue;
      const l = logSumExp(logits!, r);
      for (let v = 0; v < V; v++) {
        const p = Math.exp(logits!.data[r * V + v]! - l);
        dlogits.data[r * V + v] = dloss.data[0]! * scale * (p - (v === target ? 1 : 0));
      }
    }
    return { logits: dlogits };
  },
  attrs(gpu, { targets, scale }) {
    const tensor = upload(gpu, targets, [targets.length]);
    return { attrs: { targets: tensor, scale }, owned: { targets: tensor } };
  },
  // The forward makes the gradient too; the backward only scales it.
  cost: ({ R, V }) => ({ flops: 8 * R * V, bytes: 8 * R * V }),
  backwardCost: ({ R, V }) => ({ flops: R * V, bytes: 8 * R * V }),
  variants: ROW_FORMS,
};
