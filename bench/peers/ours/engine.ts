// Our own engine as one of those compared: the public ops, the learner and the generator. Knows them and the work;
// knows no other engine.
import { type AdapterChoice, openNodeGpu } from '../../../src/platform/node.ts';
import { adapterName, type Engine } from '../engine.ts';
import { prepareGeneration, prepareStep } from './gpt.ts';
import { prepareOp } from './ops.ts';

export async function open(choice: AdapterChoice): Promise<Engine> {
  const { gpu } = await openNodeGpu(choice);
  const op = prepareOp(gpu);
  return {
    adapter: adapterName(gpu.info),
    prepare: {
      matmul: op,
      layernorm: op,
      softmax: op,
      gelu: op,
      'cross-entropy': op,
      attention: op,
      step: prepareStep(gpu),
      generation: prepareGeneration(gpu),
    },
    finish: () => gpu.finish(),
  };
}
