// ONNX Runtime's WebGPU provider in its Node package. It brings its own Dawn and takes its adapter itself. Knows how
// the provider comes to ours; the work is in ops.ts and gpt.ts.
import { type AdapterChoice, nodeNavigator } from '../../../src/platform/node.ts';
import { Cannot, type Engine, load } from '../engine.ts';
import type { Ort } from './api.ts';
import { findForms } from './attention.ts';
import { OrtDevice } from './device.ts';
import { prepareGeneration } from './gpt.ts';
import * as ops from './ops.ts';

export async function open(choice: AdapterChoice): Promise<Engine> {
  const { environment, first } = await nodeNavigator(choice);
  if (!first) throw new Cannot('takes the first adapter of the machine, which is another');
  Object.assign(process.env, environment);
  const ort = await load<Ort>('onnxruntime-node');
  const device = await OrtDevice.open(ort);
  const forms = await findForms(device);
  return {
    adapter: undefined,
    prepare: {
      matmul: ops.prepareMatmul(device),
      layernorm: ops.prepareLayernorm(device),
      softmax: ops.prepareSoftmax(device),
      gelu: ops.prepareGelu(device),
      'cross-entropy': ops.cannotTrain,
      attention: ops.prepareAttention(device, forms),
      step: ops.cannotTrain,
      generation: prepareGeneration(device, forms),
    },
    finish: () => device.finish(),
  };
}
