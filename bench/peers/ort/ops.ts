// Single ops as ONNX graphs. The runtime only infers: what needs a gradient it cannot do. Knows the work's
// inputs; knows no device.
import { problemOf, type SingleOp } from '../data.ts';
import { Cannot, type Prepared, type Results } from '../engine.ts';
import { fromHeads, toHeads } from '../layout.ts';
import type { WorkOf } from '../work.ts';
import type { OrtTensor } from './api.ts';
import { addComposed, addRow, type Forms } from './attention.ts';
import type { OrtDevice } from './device.ts';
import { Graph } from './onnx.ts';

const NO_GRADIENTS = 'no gradients';

export function prepareMatmul(device: OrtDevice): (work: WorkOf<'matmul'>) => Promise<Prepared> {
  return async work => {
    const { form } = work;
    const graph = new Graph();
    if (form === 'NN') graph.add('MatMul', ['a', 'b'], {}, 'y');
    else graph.add('Gemm', ['a', 'b'], { transA: Number(form === 'TN'), transB: Number(form === 'NT') }, 'y');
    return prepared(device, graph, await inputsOf(device, work));
  };
}

export function prepareLayernorm(device: OrtDevice): (work: WorkOf<'layernorm'>) => Promise<Prepared> {
  return async work => {
    if (work.pass === 'both') throw new Cannot(NO_GRADIENTS);
    const graph = new Graph();
    graph.add('LayerNormalization', ['x', 'gamma', 'beta'], { axis: -1, epsilon: 1e-5 }, 'y');
    return prepared(device, graph, await inputsOf(device, work));
  };
}

export function prepareSoftmax(device: OrtDevice): (work: WorkOf<'softmax'>) => Promise<Prepared> {
  return async work => {
    const graph = new Graph();
    graph.add('Softmax', ['logits'], { axis: -1 }, 'y');
    return prepared(device, graph, await inputsOf(device, work));
  };
}

export function prepareGelu(device: OrtDevice): (work: WorkOf<'gelu'>) => Promise<Prepared> {
  return async work => {
    const graph = new Graph();
    graph.add('Gelu', ['x'], { approximate: 'tanh' }, 'y');
    return prepared(device, graph, await inputsOf(device, work));
  };
}

export function prepareAttention(
  device: OrtDevice,
  forms: Forms,
): (work: WorkOf<'attention'>) => Promise<Prepared> {
  return async work => {
    if (work.pass === 'both') throw new Cannot(NO_GRADIENTS);
    const { B, T, H, D } = work;
    const { inputs } = problemOf(work);
    const graph = new Graph();
    const fused = forms.row === 'fused';
    if (fused) graph.rename(addRow(graph, 'fused', ['q', 'k', 'v'], T, work).y, 'y');
    else graph.rename(addComposed(graph, ['q', 'k', 'v'], T, work), 'y');
    const order = fused ? 'BTHD' : 'BHTD';
    const part = (i: number): Promise<OrtTensor> =>
      device.put(toHeads(inputs.qkv!.data, work, order, i, 3), fused ? [B, T, H * D] : [B, H, T, D]);
    const feeds = { q: await part(0), k: await part(1), v: await part(2) };
    const made = await prepared(device, graph, feeds, y => fromHeads([y], work, order));
    return fused ? made : { ...made, note: 'products and softmax: MultiHeadAttention is wrong here' };
  };
}

/** For work that is gradients altogether. */
export function cannotTrain(): never {
  throw new Cannot(NO_GRADIENTS);
}

async function inputsOf(device: OrtDevice, work: SingleOp): Promise<Record<string, OrtTensor>> {
  const tensors: Record<string, OrtTensor> = {};
  for (const [name, { data, shape }] of Object.entries(problemOf(work).inputs))
    tensors[name] = await device.put(Float32Array.from(data), shape);
  return tensors;
}

/** A graph whose output is `y`; `finish` brings what was read into the references' form. */
async function prepared(
  device: OrtDevice,
  graph: Graph,
  feeds: Readonly<Record<string, OrtTensor>>,
  finish: (y: Float32Array) => Float32Array = y => y,
): Promise<Prepared> {
  for (const [name, { dims }] of Object.entries(feeds)) graph.input({ name, shape: dims });
  graph.output({ name: 'y' });
  const session = await device.session(graph);
  return {
    async call() {
      const { y } = await session.run(feeds);
      y!.dispose();
    },
    async results(): Promise<Results> {
      const { y } = await session.run(feeds);
      const read = await device.read(y!);
      y!.dispose();
      return { y: finish(read) };
    },
    async free() {
      for (const tensor of Object.values(feeds)) tensor.dispose();
      await session.release();
    },
  };
}
