// Options that are legal one by one and contradict each other. Knows what options mean to each other; knows
// nothing of where they came from but which were asked for.
import { FORMS } from '../data/curriculum.ts';
import { UserError } from '../errors.ts';
import { feedsBack } from './arm.ts';
import { flagName, type OptionKey, showOption, type TrainOptions } from './option-table.ts';
import { withPreset } from './presets.ts';

/** Options of a curriculum whose stages follow one another. */
const OF_STAGES: readonly OptionKey[] = ['stageAccuracy', 'uniformProb', 'resetOptimizer'];

/** Options of what a text has not. */
const OF_SAMPLES: readonly OptionKey[] = [
  ...OF_STAGES,
  'latentsPerStep',
  'maxLatentStage',
  'finalAccuracy',
  'stageMaxSteps',
  'padLatents',
  'endMarker',
  'score',
];

/** Throws a UserError of one line where the adapter, called `name`, has not what the options need. */
export function checkAdapter(
  { storage }: Pick<TrainOptions, 'storage'>,
  features: ReadonlySet<string>,
  name: string,
): void {
  if (storage === 'f16' && !features.has('shader-f16'))
    throw new UserError(
      `--storage f16: the adapter ${name} has no shader-f16: train with --storage f32, or on another (--adapter)`,
    );
}

/** Throws a UserError of one line at the first contradiction. `given` are the options that no preset decided. */
export function checkTogether(options: TrainOptions, given: ReadonlySet<OptionKey>): void {
  const refuse = (fault: string): never => {
    throw new UserError(fault);
  };
  // A value that repeats the preset's is no contradiction: a config file may hold all options of an earlier run.
  const preset = withPreset({ preset: options.preset });
  const wished = (key: OptionKey) =>
    given.has(key) && JSON.stringify(options[key]) !== JSON.stringify(preset[key]);
  const refuseWith = (flag: string, keys: readonly OptionKey[], why: string) => {
    for (const key of keys) if (wished(key)) refuse(`--${flagName(key)} contradicts ${flag}: ${why}`);
  };
  if (options.resume !== null) {
    refuseWith('--resume', ['init'], 'a resumed run goes on from its own checkpoint');
    if (given.has('out') && options.out !== options.resume) {
      refuse('--out contradicts --resume: a resumed run goes on in its own folder');
    }
    // The rest is checked against what the run was started with, by resumedOptions.
    return;
  }
  if (options.compare && options.mode !== 'coconut') {
    refuse(`--compare contradicts --mode ${options.mode}: it trains cot and no-cot beside a coconut model`);
  }
  if (options.mode === 'lm') {
    if (options.data === null) refuse('--mode lm needs --data: the text that it learns');
    refuseWith('--mode lm', OF_SAMPLES, 'a text has no questions, steps and answers');
    refuseWith('--mode lm', ['bptt'], 'it feeds no thought back');
    if (options.steps !== null)
      refuseWith('--steps', ['stageSteps'], 'a text has one stage, which ends with the steps');
    if (options.stageSteps === 'auto' && options.steps === null && options.samples === null)
      refuse('--mode lm needs an end: give --steps, --samples, or --stage-steps as a list');
  } else refuseWith(`--mode ${options.mode}`, ['rowTokens'], 'samples decide how long their rows are');
  if (options.mode !== 'lm') {
    const { written, instead } = FORMS[options.mode];
    if (written === 'all' || written === 'none')
      refuseWith(`--mode ${options.mode}`, OF_STAGES, 'it has one stage');
    if (instead === 'nothing')
      refuseWith(`--mode ${options.mode}`, ['endMarker'], 'it has no latents, and no markers');
  }
  if (options.mode !== 'icot') {
    refuseWith(`--mode ${options.mode}`, ['icotTokens'], 'only icot drops steps token by token');
  }
  if (!feedsBack(options.mode)) {
    const thoughts = ['feedback', 'feedbackScale', 'latents', 'stepSupervision'] as const;
    refuseWith(`--mode ${options.mode}`, thoughts, 'it feeds no thought back');
  }
  if (options.feedback !== 'hidden') {
    const why = /^(linear|mlp)$/.test(options.feedback)
      ? 'its bridge learns a length'
      : 'it feeds back embeddings';
    refuseWith(`--feedback ${options.feedback}`, ['feedbackScale'], why);
  }
  if (options.data !== null) {
    refuseWith(
      '--data',
      ['task', 'nodes', 'hops', 'maxEdges'],
      'the file gives the samples, none are generated',
    );
  } else if (options.valid !== null) {
    refuse('--valid needs --data: a generated task brings its own unseen samples');
  } else if (options.hops[1] >= options.nodes) {
    refuse(
      `--hops ${showOption('hops', options.hops)} needs more than ${options.nodes} nodes: raise --nodes`,
    );
  }
  if (options.init !== null) {
    refuseWith(
      '--init',
      ['layers', 'heads', 'width', 'positions', 'initScale', 'tokenizer'],
      'the model in that folder decides',
    );
  } else if (options.width % options.heads !== 0) {
    refuse(`--width ${options.width} is not divisible by --heads ${options.heads}`);
  }
  if (options.samples !== null) {
    refuseWith('--samples', ['finalAccuracy'], 'the last stage lasts until then, however good it is');
  }
  if (options.stageSteps === 'auto') {
    if (options.schedule === 'cosine' && options.steps === null && options.samples === null) {
      refuse('--schedule cosine needs an end: give --samples, --steps, or --stage-steps as a list');
    }
  } else {
    const { mode, stageSteps, maxLatentStage } = options;
    const stages = maxLatentStage + 1;
    // One more where the longest samples have steps left at the last latent stage. What icot's stages are is known
    // when the data is: setup.ts.
    const fits = stageSteps.length === stages || stageSteps.length === stages + 1;
    if (mode !== 'lm' && FORMS[mode].written === 'fewer steps' && !fits) {
      refuse(
        `--stage-steps names ${stageSteps.length} stages, but --max-latent-stage ${maxLatentStage} makes ${stages}, or ${stages + 1} with one that drops all steps left`,
      );
    }
    refuseWith(
      'a fixed --stage-steps',
      ['stageAccuracy', 'finalAccuracy', 'stageMaxSteps'],
      'it belongs to --stage-steps auto',
    );
  }
}
