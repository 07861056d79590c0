// Choosing the next token on the device: the most likely one, or one drawn with temperature and top-k. No tape ops.
import type { Gpu } from '../gpu/gpu.ts';
import { empty, type Tensor } from '../tensor.ts';
import { ceilDiv, defaultRowForm, expectSize, type RowForm } from './launch.ts';

export interface SampleSettings {
  /** Divides the logits; 0 takes the most likely token. */
  readonly temperature: number;
  /** Only the k most likely tokens are drawn from, the lower index first among equals; 0 = all. */
  readonly topK: number;
  /** Layout of the kernels; by adapter and shape where it is not given. */
  readonly form?: RowForm;
}

/** Index of the largest logit of each row, the lowest among equals; NaN never wins. logits [R, V] → u32 [R]. */
export function argmax(gpu: Gpu, logits: Tensor, form?: RowForm): Tensor {
  const [R, V] = shapeOf(logits);
  const wide = (form ?? defaultRowForm(gpu, R, V)) === 'workgroup';
  const y = empty(gpu, [R], 'u32');
  gpu.run(
    wide ? 'argmax-workgroup' : 'argmax',
    { logits, y },
    { R, V },
    { groups: wide ? R : ceilDiv(R, 4) },
  );
  return y;
}

/**
 * A token a row, drawn from softmax(logits / temperature) over the top k: the first at which the running sum of
 * probabilities, in index order, exceeds uniforms[r]. logits [R, V], uniforms [R] in [0, 1) → u32 [R].
 * A logit that is NaN is never drawn; a row of nothing but NaN gives 0.
 */
export function sample(gpu: Gpu, logits: Tensor, uniforms: Tensor, settings: SampleSettings): Tensor {
  const [R, V] = shapeOf(logits);
  const { temperature, topK, form } = settings;
  if (!(temperature >= 0 && Number.isFinite(temperature)))
    throw new Error(`sample: temperature ${temperature} is not a number from 0`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new Error(`sample: top-k ${topK} is not a whole number from 0`);
  expectSize('sample', 'uniforms', uniforms, R);
  if (temperature === 0 || topK === 1) return argmax(gpu, logits, form);
  const y = empty(gpu, [R], 'u32');
  const k = topK === 0 ? V : Math.min(topK, V);
  const wide = (form ?? defaultRowForm(gpu, R, V)) === 'workgroup';
  const launch = { groups: wide ? R : ceilDiv(R, 4) };
  gpu.run(wide ? 'sample-workgroup' : 'sample', { logits, uniforms, y }, { R, V, k, temperature }, launch);
  return y;
}

function shapeOf(logits: Tensor): [number, number] {
  const [R, V] = logits.shape;
  if (R === undefined || V === undefined || logits.shape.length !== 2)
    throw new Error(`sample: logits have shape [${logits.shape}], expected [R, V]`);
  return [R, V];
}
