// Which runs the trainer in PyTorch can go on with: those all of whose options it follows. Knows options; knows no rows.
import { UserError } from '../../src/errors.ts';
import {
  flagName,
  OPTION_KEYS,
  OPTIONS,
  type OptionKey,
  showOption,
  type TrainOptions,
} from '../../src/train/option-table.ts';

/** Followed, or without meaning for training steps. Any other option must have its default. */
const FOLLOWED: ReadonlySet<OptionKey> = new Set<OptionKey>([
  ...([
    'preset',
    'mode',
    'bptt',
    'compare',
    'steps',
    'samples',
    'seed',
    'out',
    'init',
    'resume',
    'config',
  ] as const),
  ...(['task', 'nodes', 'hops', 'maxEdges', 'data', 'valid'] as const),
  ...(['layers', 'heads', 'width', 'positions', 'initScale'] as const),
  ...(['batch', 'microBatch', 'lr', 'warmup', 'schedule'] as const),
  ...(['weightDecay', 'beta1', 'beta2', 'eps', 'clip'] as const),
  ...(['latentsPerStep', 'maxLatentStage', 'stageSteps', 'stageMaxSteps', 'uniformProb'] as const),
  ...(['padLatents', 'icotTokens', 'resetOptimizer', 'endMarker', 'logEvery', 'checkpointEvery'] as const),
  // Of the device and of measuring, both of which stay with train.ts.
  ...([
    'adapter',
    'memory',
    'recompute',
    'tune',
    'stageAccuracy',
    'finalAccuracy',
    'stageCheckEvery',
  ] as const),
  ...(['validSamples', 'score', 'evalSamples', 'reportSamples'] as const),
]);

/** Throws a UserError of one line where a run has an option that would be ignored. */
export function checkSupport(options: TrainOptions): void {
  if (options.mode === 'lm')
    throw new UserError(
      'the run has --mode lm, and the trainer in PyTorch learns from samples: go on with train.ts',
    );
  for (const key of OPTION_KEYS) {
    if (FOLLOWED.has(key)) continue;
    const row = OPTIONS[key];
    const fallback = row.perPreset ? undefined : row.fallback;
    if (JSON.stringify(options[key]) !== JSON.stringify(fallback))
      throw new UserError(
        `the run has --${flagName(key)} ${showOption(key, options[key])}, which the trainer in PyTorch cannot do: go on with node train.ts --resume ${options.out}`,
      );
  }
}
