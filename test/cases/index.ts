// The table of op rows, by op name. The structure check wants every op of src/ops/index.ts here.
import { addCase } from './add.ts';
import { attentionCase } from './attention.ts';
import type { OpCase } from './case.ts';
import { concatRowsCase } from './concat-rows.ts';
import { crossEntropyCase } from './cross-entropy.ts';
import { dropoutCase } from './dropout.ts';
import { embeddingCase } from './embedding.ts';
import { gatherRowsCase } from './gather-rows.ts';
import { geluCase } from './gelu.ts';
import { layernormCase } from './layernorm.ts';
import { lookupCase } from './lookup.ts';
import { linearCase, matmulCase } from './matmul.ts';
import { mlpCase } from './mlp.ts';
import { scaleCase } from './scale.ts';
import { sliceRowsCase } from './slice-rows.ts';
import { softmaxCase } from './softmax.ts';

// biome-ignore lint/suspicious/noExplicitAny: each row has its own dimensions and attributes.
export const cases: readonly OpCase<any, any>[] = [
  addCase,
  attentionCase,
  concatRowsCase,
  crossEntropyCase,
  dropoutCase,
  embeddingCase,
  gatherRowsCase,
  geluCase,
  layernormCase,
  linearCase,
  lookupCase,
  matmulCase,
  mlpCase,
  scaleCase,
  sliceRowsCase,
  softmaxCase,
];
