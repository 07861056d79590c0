// jax-js on WebGPU, under Node. Knows how it gets its device; the work is in ops.ts and gpt.ts.
import { type AdapterChoice, nodeNavigator } from '../../../src/platform/node.ts';
import { adapterName, type Engine, load } from '../engine.ts';
import { globalNavigator } from '../navigator.ts';
import type { Jax } from './api.ts';
import { prepareGeneration, prepareStep } from './gpt.ts';
import * as ops from './ops.ts';

export async function open(choice: AdapterChoice): Promise<Engine> {
  const { gpu } = await nodeNavigator(choice);
  globalNavigator(gpu);
  const jax = await load<Jax>('@jax-js/jax');
  await jax.init('webgpu');
  jax.defaultDevice('webgpu');
  const device = jax.getWebGPUDevice();
  return {
    adapter: adapterName(device.adapterInfo),
    prepare: {
      matmul: ops.prepareMatmul(jax),
      layernorm: ops.prepareLayernorm(jax),
      softmax: ops.prepareSoftmax(jax),
      gelu: ops.prepareGelu(jax),
      'cross-entropy': ops.prepareCrossEntropy(jax),
      attention: ops.prepareAttention(jax),
      step: prepareStep(jax),
      generation: prepareGeneration(jax),
    },
    finish: async () => {
      await device.queue.onSubmittedWorkDone();
    },
  };
}
