// Our ops as the bench runs them: by their case, which knows their attributes. Knows the op contract; knows no op.
import type { Gpu } from '../../../src/gpu/gpu.ts';
import type { Slot, Tensors } from '../../../src/tape.ts';
import { empty, read, type Tensor, upload } from '../../../src/tensor.ts';
import { onDevice } from '../../../test/run-case.ts';
import { problemOf, type SingleOp, targetsOf } from '../data.ts';
import type { Prepared, Results } from '../engine.ts';

const NOTES: Partial<Record<SingleOp['op'], string>> = {
  softmax: 'taken from cross-entropy, forward and gradient',
  attention: 'copies keys and values into its store too',
};

export function prepareOp(gpu: Gpu): (work: SingleOp) => Prepared {
  return work => {
    const { row, dims, cpuAttrs, inputs, dOutput } = problemOf(work);
    const { op } = row;
    const { attrs, owned } = row.attrs(gpu, cpuAttrs, dims);
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, value]) => [name, onDevice(gpu, value)]),
    );
    // Of a cross-entropy the gradient is wanted too; its own is 1.
    const losses = work.op === 'softmax' || work.op === 'cross-entropy';
    const dy = losses ? upload(gpu, Float32Array.of(1), [1]) : dOutput && onDevice(gpu, dOutput);
    const slots: Record<string, Slot> = {};
    if (dy)
      for (const [name, value] of Object.entries(inputs))
        slots[name] = { tensor: empty(gpu, value.shape), beta: 0 };

    /** The output, which the caller frees. */
    const once = (): Tensor => {
      const made = op.forward(gpu, tensors, attrs);
      if (dy && op.backward !== 'not differentiable')
        op.backward(gpu, { inputs: tensors, attrs, ...made }, dy, slots);
      for (const tensor of Object.values(made.saved as Tensors)) tensor.free();
      return made.output;
    };

    const note = NOTES[work.op];
    return {
      ...(note && { note }),
      call: () => once().free(),
      async results() {
        const output = once();
        const results: Record<string, Float32Array> = { y: await read(output) };
        output.free();
        for (const [name, slot] of Object.entries(slots)) results[`d${name}`] = await read(slot.tensor);
        return work.op === 'softmax' ? softmaxOf(results.dlogits!, work.R, work.V) : results;
      },
      free() {
        for (const tensor of [...Object.values(tensors), ...Object.values(owned)]) tensor.free();
        for (const { tensor } of Object.values(slots)) tensor.free();
        dy?.free();
      },
    };
  };
}

/** The gradient of a sum of losses is softmax - onehot. */
function softmaxOf(dlogits: Float32Array, R: number, V: number): Results {
  const y = dlogits.slice();
  for (const [r, target] of targetsOf({ R, V }).entries()) y[r * V + target]! += 1;
  return { y };
}
