// TensorFlow.js on its WebGPU backend, under Node. Knows how the backend gets its device; the work is in ops.ts and
// gpt.ts.
import { type AdapterChoice, nodeNavigator } from '../../../src/platform/node.ts';
import { adapterName, type Engine, load } from '../engine.ts';
import { globalNavigator } from '../navigator.ts';
import type { Tfjs, WebGpuBackendModule } from './api.ts';
import { prepareGeneration, prepareStep } from './gpt.ts';
import * as ops from './ops.ts';

/** What the package asks of an adapter when it makes the device itself. */
const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const;

export async function open(choice: AdapterChoice): Promise<Engine> {
  const { gpu } = await nodeNavigator(choice);
  globalNavigator(gpu);
  const tf = await load<Tfjs>('@tensorflow/tfjs-core');
  await load<object>('@tensorflow/tfjs-layers'); // Its import registers the gradients of all kernels.
  const { WebGPUBackend } = await load<WebGpuBackendModule>('@tensorflow/tfjs-backend-webgpu');
  const adapter = (await gpu.requestAdapter())!;
  // The package's own way to a device asks for a feature in a form that Node's WebGPU refuses; this is the same
  // device without it.
  const device = await adapter.requestDevice({
    requiredFeatures: adapter.features.has('timestamp-query') ? ['timestamp-query'] : [],
    requiredLimits: Object.fromEntries(LIMITS.map(name => [name, adapter.limits[name]])),
  });
  const backend = new WebGPUBackend(device, adapter.info);
  tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', () => backend, 3);
  await tf.setBackend('webgpu');
  await tf.ready();
  return {
    adapter: adapterName(adapter.info),
    prepare: {
      matmul: ops.prepareMatmul(tf),
      layernorm: ops.prepareLayernorm(tf),
      softmax: ops.prepareSoftmax(tf),
      gelu: ops.prepareGelu(tf),
      'cross-entropy': ops.prepareCrossEntropy(tf),
      attention: ops.prepareAttention(tf),
      step: prepareStep(tf),
      generation: prepareGeneration(tf),
    },
    async finish() {
      backend.endComputePassEncoder();
      if (backend.commandEncoder) backend.submitQueue();
      await device.queue.onSubmittedWorkDone();
    },
  };
}
