// The model on our engine: a learner's step, and generation. Knows the model's numbers; knows no other engine.
import { collatePrompts, type Row } from '../../../src/data/batch.ts';
import { generate } from '../../../src/eval/generate.ts';
import type { Gpu } from '../../../src/gpu/gpu.ts';
import { Gpt } from '../../../src/model/gpt.ts';
import { Parameters } from '../../../src/model/parameters.ts';
import { read } from '../../../src/tensor.ts';
import { Learner, type StepValues } from '../../../src/train/step.ts';
import type { Prepared } from '../engine.ts';
import { ADAMW, CONFIG, parameters, T, tokenRows } from '../model.ts';
import type { WorkOf } from '../work.ts';

/** No row ends before its time. */
const NO_TOKEN = CONFIG.vocabSize;

function loadModel(gpu: Gpu): Gpt {
  const values = new Parameters(gpu, CONFIG);
  values.load(new Map(parameters().map(({ name, data }) => [`transformer.${name}`, data])));
  return new Gpt(values);
}

export function prepareStep(gpu: Gpu): (work: WorkOf<'step'>) => Prepared {
  return ({ B }) => {
    const model = loadModel(gpu);
    const { lr, ...adamw } = ADAMW;
    const learner = new Learner(model, { ...adamw, clip: 0, window: 'full', microBatch: 'all', padId: 0 });
    const rows = tokenRows(B, T).map(
      (tokens): Row => ({ tokens, labels: tokens, latentStart: -1, latents: 0 }),
    );
    const step = (): StepValues => learner.step(rows, lr);
    const drop = ({ losses, clip }: StepValues): void => {
      for (const tensor of [...losses, clip]) tensor.free();
    };
    return {
      note: 'takes the gradient norm too',
      call: () => drop(step()),
      async results() {
        const losses: number[] = [];
        for (let i = 0; i < 2; i++) {
          const values = step();
          const parts = await Promise.all(values.losses.map(read));
          losses.push(parts.reduce((sum, [part]) => sum + part!, 0));
          drop(values);
        }
        return { losses: Float32Array.from(losses) };
      },
      free() {
        learner.free();
        model.parameters.free();
      },
    };
  };
}

export function prepareGeneration(gpu: Gpu): (work: WorkOf<'generation'>) => Prepared {
  return ({ B, prompt, tokens: maxTokens }) => {
    const model = loadModel(gpu);
    const prompts = collatePrompts(
      tokenRows(B, prompt).map(tokens => ({ tokens, latentStart: -1, latents: 0 })),
      0,
    );
    const once = () => generate(model, prompts, { maxTokens, eos: NO_TOKEN });
    return {
      note: 'K/V store; looks every few tokens whether all rows have ended',
      async call() {
        await once();
      },
      results: async () => ({ tokens: Float32Array.from((await once()).tokens.flat()) }),
      free: () => model.parameters.free(),
    };
  };
}
