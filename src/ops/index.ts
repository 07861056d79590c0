// The table of ops. The type makes a missing backward a compile error: an op either has one or says that it is
// not differentiable. Tests, the bench and the structure check go by this table.
import { linear, matmul } from './matmul.ts';

export const ops = {
  matmul,
  linear,
};
