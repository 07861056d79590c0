// The experiments, in the order in which they are listed. Knows their files.
import type { Experiment } from '../experiment.ts';
import { bptt } from './bptt.ts';

export const EXPERIMENTS: readonly Experiment[] = [bptt];
