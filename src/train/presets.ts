// The presets, as plain numbers with their sources. Knows what the table asks of a preset and nothing else. Options
// that are not named here have their default in option-table.ts.
//
// Sources: [Coconut] arXiv 2412.06769 and its published configurations; [Superposition] arXiv 2505.12514,
// Coconut from scratch; [log] docs/log.md, our own experiments.
import {
  OPTION_KEYS,
  OPTIONS,
  type Preset,
  type PresetName,
  type TrainOptions,
  type Values,
} from './option-table.ts';

/** Does the whole job in well under a minute on two CPU cores: all stages, several checkpoints. Proves nothing. */
const smoke: Preset = {
  task: 'pointer',
  nodes: 5,
  hops: [2, 2],
  maxEdges: null,
  out: 'runs/smoke',
  bptt: 1,

  layers: 2,
  heads: 2,
  width: 32,
  initScale: 'matched',

  batch: 16,
  microBatch: 'all',
  lr: 2e-3,
  warmup: 20,
  schedule: 'constant',
  weightDecay: 0.01,
  clip: 1,

  latentsPerStep: 1,
  maxLatentStage: 2,
  icotTokens: 1, // A step is a word, so icot has the stages of coconut.
  stageSteps: [240, 120, 120],
  stageAccuracy: 0.97,
  finalAccuracy: 0.99,
  stageCheckEvery: 60,
  stageMaxSteps: 120,
  uniformProb: 0.3,
  padLatents: true,
  resetOptimizer: true,
  endMarker: 'latents',

  validSamples: 64,
  evalSamples: 100,
  checkpointEvery: 120,
};

/**
 * The default: a chain of three hops through a random cycle, learnt to ≥ 0.97 in minutes on two CPU cores. Small
 * batches need the fewest samples, and width 96 half of what width 64 does; the mixing of 0.3 keeps earlier stages
 * alive while the next is learnt [log].
 */
const pointer: Preset = {
  task: 'pointer',
  nodes: 8,
  hops: [3, 3],
  maxEdges: null,
  out: 'runs/pointer',
  // With 1 a thought is trained only in its own stage and the batches mixed in; one seed of three then took too
  // long [log].
  bptt: 2,

  layers: 2,
  heads: 4,
  width: 96,
  // The fed-back state and a token's embedding get one length, so the first thought already lies in the space
  // that the first layer knows. With 0.02 throughout, the state of a new model is 50 times as long: √96 after the
  // last norm, whose gain is 1, against 0.02·√96.
  initScale: 'matched',

  batch: 16,
  microBatch: 'all',
  lr: 1e-3,
  warmup: 50,
  schedule: 'constant',
  weightDecay: 0.01, // [Coconut]
  clip: 1,

  latentsPerStep: 1,
  maxLatentStage: 3,
  icotTokens: 1,
  stageSteps: 'auto',
  // A stage that lingers for 0.97 can stay at 0.95 for 2,000 steps; the next one trains what it left [log].
  stageAccuracy: 0.9,
  finalAccuracy: 0.985,
  stageCheckEvery: 25,
  stageMaxSteps: 2000,
  uniformProb: 0.3,
  padLatents: true,
  resetOptimizer: true, // [Coconut]
  // Rows without latents teach the output at the start marker to say the first step: the first thought [log].
  endMarker: 'latents',

  validSamples: 300,
  evalSamples: 500,
  checkpointEvery: 250,
};

/**
 * Graph search in small: 12 nodes, a target exactly 3 hops away, at most 16 edges. Meant to go on (--init) from a
 * model that can follow pointers: from scratch it stood at chance after 280,000 samples, where a model that has
 * learnt pointer chasing in 36,000 needs 115,000 more [log]. Stages have fixed lengths: stage 0 must last until the
 * steps it writes are edges, and accuracy on the whole path cannot tell, because nobody can know the way before
 * having searched.
 */
const prosqaMini: Preset = {
  task: 'prosqa-mini',
  nodes: 12,
  hops: [3, 3],
  maxEdges: 16,
  out: 'runs/prosqa-mini',
  bptt: 'full',

  layers: 2,
  heads: 4,
  width: 96,
  initScale: 'matched',

  batch: 32,
  microBatch: 'all',
  lr: 1e-3,
  warmup: 50,
  schedule: 'constant',
  weightDecay: 0.01, // [Coconut]
  clip: 1,

  latentsPerStep: 1,
  maxLatentStage: 3,
  icotTokens: 1,
  stageSteps: [800, 800, 1000, 1000],
  stageAccuracy: 0.97,
  finalAccuracy: 0.99,
  stageCheckEvery: 100,
  stageMaxSteps: 3000,
  uniformProb: 0.1, // [Superposition]
  padLatents: true,
  resetOptimizer: true, // [Coconut]
  endMarker: 'latents',

  validSamples: 300,
  evalSamples: 500,
  checkpointEvery: 400,
};

/**
 * ProsQA from scratch as in [Superposition]: 2 layers of 8 heads and width 768, four latents at most, 25 epochs
 * a stage and 300 in all, with the published data or our generator. For a real GPU.
 */
const prosqa: Preset = {
  task: 'prosqa',
  nodes: 28,
  hops: [3, 6],
  maxEdges: null,
  out: 'runs/prosqa',
  bptt: 2,

  layers: 2,
  heads: 8,
  width: 768,
  initScale: 'matched',

  batch: 256,
  // 32 rows of at most 350 columns keep the MLP's hidden layer, 4·768 floats a column, near the 128 MiB that
  // WebGPU promises for one binding.
  microBatch: 32,
  lr: 1e-4,
  warmup: 50,
  schedule: 'constant',
  weightDecay: 0.01, // [Coconut]
  clip: 1,

  latentsPerStep: 1,
  maxLatentStage: 4,
  icotTokens: 8, // The reference's; the 35 tokens of 6 hops then fade in as many stages as the list below has.
  // 17,886 samples are 70 steps an epoch: 25 epochs for each of stages 0 to 4, and the rest of the 300 without any
  // written step, as questions of 5 and 6 hops still have some left after stage 4.
  stageSteps: [1750, 1750, 1750, 1750, 1750, 12250],
  stageAccuracy: 0.97,
  finalAccuracy: 0.99,
  stageCheckEvery: 350,
  stageMaxSteps: 14000,
  uniformProb: 0.1,
  padLatents: true,
  resetOptimizer: true, // [Coconut]
  endMarker: 'latents',

  validSamples: 300, // the published validation set's size
  evalSamples: 500, // the published test set's size
  checkpointEvery: 1000,
};

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  smoke,
  pointer,
  'prosqa-mini': prosqaMini,
  prosqa,
};

const FALLBACKS: Values = Object.fromEntries(
  OPTION_KEYS.flatMap(key => {
    const row = OPTIONS[key];
    return row.perPreset ? [] : [[key, row.fallback]];
  }),
);

/** All options: those given, then those of their preset (`given.preset`, or the default one), then the defaults. */
export function withPreset(given: Values): TrainOptions {
  const name = (given.preset ?? FALLBACKS.preset) as PresetName;
  return { ...FALLBACKS, ...PRESETS[name], ...given } as TrainOptions;
}
