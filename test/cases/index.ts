// The table of op rows, by op name. The structure check wants every op of src/ops/index.ts here.
import type { OpCase } from './case.ts';
import { linearCase, matmulCase } from './matmul.ts';

// biome-ignore lint/suspicious/noExplicitAny: each row has its own dimensions and attributes.
export const cases: readonly OpCase<any, any>[] = [matmulCase, linearCase];
