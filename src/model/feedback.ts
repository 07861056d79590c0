// From the hidden states that a pass ends with to the embeddings that the next pass begins with. Knows the forms that a
// model's config may name; knows no passes and no batch.
import { layernorm } from '../ops/layernorm.ts';
import { linear } from '../ops/linear.ts';
import { lookup } from '../ops/lookup.ts';
import { matmul } from '../ops/matmul.ts';
import { mlp } from '../ops/mlp.ts';
import { argmax } from '../ops/sample.ts';
import { scale } from '../ops/scale.ts';
import { softmax } from '../ops/softmax.ts';
import type { Tape } from '../tape.ts';
import { type Tensor, upload } from '../tensor.ts';
import type { Gpt } from './gpt.ts';
import { PUBLISHED } from './recurrence.ts';

/**
 * What is fed back in the place of `thought` [R, C], [R, C]: itself in the published form, where nothing is computed
 * unless it is scaled.
 * `own` keeps a tensor until the backward is over.
 *
 * Gradients: through a bridge to its parameters and the thought; through `soft` to the thought, by the softmax's own
 * slope, to the head, and to wte as the table (twice to wte, where it is the head). Through `token` to the chosen row of wte alone: the choice has
 * no slope, so nothing reaches the thought.
 */
export function fedBack(tape: Tape, model: Gpt, thought: Tensor, own: (tensor: Tensor) => Tensor): Tensor {
  const wte = model.parameter('wte.weight');
  const { feedback, scale: factor = 1 } = model.config.recurrence ?? PUBLISHED;
  switch (feedback) {
    case 'hidden':
      if (factor === 1) return thought;
      return tape.apply(
        scale,
        { x: thought },
        { factor: own(upload(tape.gpu, Float32Array.of(factor), [1])) },
      );
    case 'linear': {
      const { w, b } = bridgeMap(model, 'c_proj');
      return norm(tape, model, tape.apply(linear, { x: thought, w, b }, {}));
    }
    case 'mlp': {
      const { w: w1, b: b1 } = bridgeMap(model, 'c_fc');
      const { w: w2, b: b2 } = bridgeMap(model, 'c_proj');
      return norm(tape, model, tape.apply(mlp, { x: thought, w1, b1, w2, b2, residual: thought }, {}));
    }
    case 'soft': {
      const share = tape.apply(softmax, { x: model.logits(tape, thought) }, {});
      return tape.apply(matmul, { a: share, b: wte }, {});
    }
    case 'token': {
      const ids = own(tape.noGrad(() => argmax(tape.gpu, model.logits(tape, thought))));
      return tape.apply(lookup, { table: wte }, { ids, dtype: model.storage });
    }
  }
}

function bridgeMap(model: Gpt, name: string): { w: Tensor; b: Tensor } {
  return { w: model.parameter(`bridge.${name}.weight`), b: model.parameter(`bridge.${name}.bias`) };
}

function norm(tape: Tape, model: Gpt, x: Tensor): Tensor {
  const gamma = model.parameter('bridge.ln.weight');
  const beta = model.parameter('bridge.ln.bias');
  return tape.apply(layernorm, { x, gamma, beta }, { eps: model.config.layerNormEpsilon });
}
