// The table of ops. Its type makes a missing backward a compile error: an op has one, or says that it is not
// differentiable. Tests, the bench and the structure check go by this table.
import type { Op } from '../tape.ts';
import { add } from './add.ts';
import { attention } from './attention.ts';
import { concatRows } from './concat-rows.ts';
import { crossEntropy } from './cross-entropy.ts';
import { dropout } from './dropout.ts';
import { embedding } from './embedding.ts';
import { gatherRows } from './gather-rows.ts';
import { gelu } from './gelu.ts';
import { layernorm } from './layernorm.ts';
import { linear } from './linear.ts';
import { lookup } from './lookup.ts';
import { matmul } from './matmul.ts';
import { mlp } from './mlp.ts';
import { scale } from './scale.ts';
import { sliceRows } from './slice-rows.ts';
import { softmax } from './softmax.ts';

/** An op's row: whatever its inputs and attributes, it carries its backward. */
type Row<T> = T extends Op<infer I, infer A, infer S> ? Op<I, A, S> : never;
type Table<T> = { readonly [K in keyof T]: Row<T[K]> };

const table = <T extends Table<T>>(rows: T): T => rows;

export const ops = table({
  add,
  attention,
  'concat-rows': concatRows,
  'cross-entropy': crossEntropy,
  dropout,
  embedding,
  'gather-rows': gatherRows,
  gelu,
  layernorm,
  linear,
  lookup,
  matmul,
  mlp,
  scale,
  'slice-rows': sliceRows,
  softmax,
});
