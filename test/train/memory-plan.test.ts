// The plan of a run's memory against what runs measure, and what is said where it does not fit.
import { expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { armModel } from '../../src/train/arm-model.ts';
import { Course } from '../../src/train/course.ts';
import { checkedPlan, planLine, planMemory } from '../../src/train/memory-plan.ts';
import type { TrainOptions } from '../../src/train/option-table.ts';
import { prepare } from '../../src/train/prepare.ts';
import { withPreset } from '../../src/train/presets.ts';
import { Learner } from '../../src/train/step.ts';
import { testGpu } from '../device.ts';
import { memoryFiles } from '../formats/memory-files.ts';

const gpu = await testGpu({ poison: false });
const small = { preset: 'smoke', validSamples: 4, evalSamples: 4 } as const;

async function planned(given: Partial<TrainOptions>) {
  const options = withPreset({ ...small, ...given });
  const setup = await prepare(options, memoryFiles());
  const arm = { mode: options.mode, samples: null } as const;
  return { options, setup, arm, plan: planMemory(arm, setup, options, gpu) };
}

/** Bytes at the peak of some steps of every stage, all that the learner holds included. */
async function measured({ options, setup, arm }: Awaited<ReturnType<typeof planned>>): Promise<number> {
  const before = gpu.pool.memory.live;
  const model = armModel(gpu, arm.mode, setup, options, undefined);
  const learner = new Learner(model, { ...options, window: options.bptt, padId: setup.tokenizer.pad });
  const course = new Course(arm, setup, options);
  gpu.pool.resetPeak();
  for (let stage = 0; stage <= course.last; stage++)
    for (const samples of [0, 1, 2, 3].map(i => i * options.batch)) {
      const { losses, clip } = learner.step(course.rows(samples, stage), 1e-3, 0);
      for (const tensor of [...losses, clip]) tensor.free();
    }
  await gpu.finish();
  const peak = gpu.pool.memory.peak - before;
  learner.free();
  model.parameters.free();
  return peak;
}

test.each([
  ['thoughts, all gradients', { bptt: 'full' }],
  ['a window', { bptt: 1 }],
  ['micro-batches', { microBatch: 5 }],
  ['no thoughts', { mode: 'cot' }],
  ['a bridge', { feedback: 'mlp' }],
  ['recomputed blocks', { recompute: true }],
  ['dropout', { dropout: 0.1 }],
  ['a step head', { stepSupervision: 0.5 }],
] as const)('%s: within a tenth of a step that runs', async (_, given) => {
  const case_ = await planned(given);
  const peak = await measured(case_);
  const { plan } = case_;
  expect(plan.total).toBeGreaterThanOrEqual(peak * 0.9);
  expect(plan.total).toBeLessThanOrEqual(peak * 1.1);
  expect(plan.weights + plan.gradients + plan.optimizer + plan.activations).toBe(plan.total);
  expect(plan.thoughts).toBeLessThanOrEqual(plan.activations);
});

test.skipIf(!gpu.features.has('shader-f16'))(
  'f16: within a tenth of a step that runs (needs shader-f16)',
  async () => {
    const case_ = await planned({ storage: 'f16', bptt: 'full' });
    const peak = await measured(case_);
    expect(case_.plan.total).toBeGreaterThanOrEqual(peak * 0.9);
    expect(case_.plan.total).toBeLessThanOrEqual(peak * 1.1);
  },
);

test('f16 takes about half of the activations, and no parameter less', async () => {
  // On any adapter: nothing of a plan is computed.
  const { plan: wide } = await planned({ bptt: 'full', batch: 64 });
  const { plan: half } = await planned({ bptt: 'full', batch: 64, storage: 'f16' });
  expect(half.weights).toBe(wide.weights);
  expect(half.gradients - wide.gradients + (half.optimizer - wide.optimizer)).toBe(20);
  expect(half.activations / wide.activations).toBeGreaterThan(0.5);
  expect(half.activations / wide.activations).toBeLessThan(0.65);
});

test('nothing is missing of the stage with the longest rows', async () => {
  const case_ = await planned({});
  expect(case_.plan.total).toBeGreaterThanOrEqual(await measured(case_));
});

test('what does not fit is refused with the flag that would make it fit, and it does', async () => {
  const { options, setup, arm, plan } = await planned({ batch: 64 });
  const available = plan.total - plan.activations / 3;
  const refused = (): unknown => checkedPlan(arm, setup, options, gpu, available);
  expect(refused).toThrow(UserError);
  expect(refused).toThrow(/^memory on the device: .*; there are .*: --micro-batch \d+ would make it fit$/);
  const micro = Number(/--micro-batch (\d+)/.exec(messageOf(refused))![1]);
  const fitting = checkedPlan(arm, setup, { ...options, microBatch: micro }, gpu, available);
  expect(fitting.total).toBeLessThanOrEqual(available);
  expect(() => checkedPlan(arm, setup, { ...options, microBatch: 2 * micro }, gpu, available)).toThrow(
    UserError,
  );
  expect(checkedPlan(arm, setup, options, gpu, undefined)).toEqual(plan);
});

test('weights alone too many: no flag helps', async () => {
  const { options, setup, arm, plan } = await planned({});
  expect(() => checkedPlan(arm, setup, options, gpu, plan.weights)).toThrow(/no flag but a smaller model/);
  const limits = { ...gpu.limits, maxBuffer: 4096, maxBinding: 4096 };
  const { cpuRun, swiftshader, features } = gpu;
  const form = { cpuRun, swiftshader, features, limits };
  expect(() => checkedPlan(arm, setup, options, form, undefined)).toThrow(/larger than the device's limit/);
});

test('the line names every part', async () => {
  const { plan } = await planned({});
  expect(planLine(plan)).toMatch(
    /^memory on the device: about \S+ .iB: weights .*, gradients .*, optimizer .*, activations .* \(.* for thoughts\)$/,
  );
  expect(planLine({ ...plan, thoughts: 0 })).not.toContain('thoughts');
});

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}
