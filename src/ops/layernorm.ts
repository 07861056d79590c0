// Layer normalisation over the last dimension (Ba, Kiros & Hinton 2016), with scale gamma and shift beta.

import type { Gpu } from '../gpu/gpu.ts';
import type { Op } from '../tape.ts';
import { empty, type Tensor } from '../tensor.ts';
import type { LateSums } from './late.ts';
import { ceilDiv, defaultRowForm, expectShape, lanes, type RowForm, widthOf } from './launch.ts';
import { sumHalves } from './reduce.ts';

type Inputs = { x: Tensor; gamma: Tensor; beta: Tensor };

export interface LayernormAttrs {
  /** Added to the variance; GPT-2 has 1e-5. */
  readonly eps: number;
  /** Layout of the kernels; by adapter and shape where it is not given. */
  readonly form?: RowForm;
  /** Where the output goes, of x's size; by default memory of its own. */
  readonly out?: Tensor | undefined;
  /** Where all passes leave the sums of their rows. */
  readonly late?: LateSums | undefined;
}

type Saved = { mean: Tensor; rstd: Tensor };

/** Rows a thread takes: several share loads of gamma and beta, but few rows must still fill the cores. */
const rowsPerThread = (M: number): number => (M >= 256 ? 4 : 1);

/** Columns that a round of the forward loops takes: several a round save time on SwiftShader only. */
function columnsPerRound(gpu: Gpu, rows: number, C: number): number {
  const several = rows === 1 ? 4 : 2;
  return gpu.swiftshader && C % several === 0 ? several : 1;
}

/** Rows whose part of the gradients of gamma and beta is one sum. */
const rowsPerBlock = (M: number, form: RowForm): number => (form === 'workgroup' ? 4 : rowsPerThread(M));

/** Blocks of M rows of width C, each of which gives one row of sums to a `LateSums`. */
export function layernormBlocks(gpu: Gpu, M: number, C: number): number {
  return ceilDiv(M, rowsPerBlock(M, defaultRowForm(gpu, M, C)));
}

/** y = (x - mean) / sqrt(variance + eps) * gamma + beta a row. x [M, C] in any shape; gamma, beta [C]. */
export const layernorm: Op<Inputs, LayernormAttrs, Saved> = {
  name: 'layernorm',
  sums: ['x'],

  forward(gpu, { x, gamma, beta }, { eps, form, out }) {
    const C = widthOf(x);
    const M = x.size / C;
    expectShape('layernorm', 'gamma', gamma, [C]);
    expectShape('layernorm', 'beta', beta, [C]);
    const output = out?.view(x.shape) ?? empty(gpu, x.shape, x.dtype);
    const saved = { mean: empty(gpu, [M]), rstd: empty(gpu, [M]) };
    const bind = { x, gamma, beta, y: output, ...saved };
    if ((form ?? defaultRowForm(gpu, M, C)) === 'workgroup') {
      gpu.run('layernorm-workgroup', bind, { M, C, eps }, { groups: M });
    } else {
      const ROWS = rowsPerThread(M);
      const WG = lanes(gpu);
      const consts = { WG, ROWS, STEP: columnsPerRound(gpu, ROWS, C), GUARD: M % ROWS !== 0 };
      gpu.run('layernorm', bind, { M, C, eps }, { groups: ceilDiv(M, WG * ROWS), consts, unroll: true });
    }
    return { output, saved };
  },

  // y = n gamma + beta with n = (x - mean) rstd:
  //   dgamma = sum over rows of dy n,  dbeta = sum over rows of dy,
  //   dx = rstd (g - average(g) - n average(g n)) with g = dy gamma, since mean and rstd depend on x too.
  backward(gpu, { inputs: { x, gamma }, attrs, saved }, dOutput, d) {
    const C = widthOf(x);
    const M = x.size / C;
    const form = attrs.form ?? defaultRowForm(gpu, M, C);
    const ROWS = rowsPerBlock(M, form);
    const PARTS = d.gamma !== undefined || d.beta !== undefined;
    const blocks = ceilDiv(M, ROWS);
    const parts =
      (PARTS ? attrs.late?.place(blocks) : undefined) ?? empty(gpu, PARTS ? [blocks, 2 * C] : [1]);
    const dx = d.x?.tensor ?? empty(gpu, x.shape, x.dtype);
    const bind = { x, gamma, ...saved, dy: dOutput, plus: d.x?.plus ?? dOutput, dx, parts };
    const consts = { ROWS, PARTS, ADD: d.x?.beta === 1, PLUS: d.x?.plus !== undefined };
    if (form === 'workgroup') {
      gpu.run('layernorm-backward-workgroup', bind, { M, C }, { groups: blocks, consts, unroll: true });
    } else {
      const WG = lanes(gpu);
      const guarded = { ...consts, WG, GUARD: M % ROWS !== 0 };
      gpu.run(
        'layernorm-backward',
        bind,
        { M, C },
        { groups: ceilDiv(blocks, WG), consts: guarded, unroll: true },
      );
    }
    if (!d.x) dx.free();
    if (PARTS && attrs.late) attrs.late.keep(parts, d.gamma, d.beta);
    else if (PARTS) sumHalves(gpu, parts, d.gamma, d.beta);
    parts.free();
  },
};
