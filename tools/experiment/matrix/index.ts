// The experiments, in the order in which they are listed. Knows their files.
import type { Experiment } from '../experiment.ts';
import { bptt } from './bptt.ts';
import { tax } from './tax.ts';

export const EXPERIMENTS: readonly Experiment[] = [bptt, tax];
