// The experiments, in the order in which they are listed. Knows their files.
import type { Experiment } from '../experiment.ts';
import { bptt } from './bptt.ts';
import { modes } from './modes.ts';
import { parallel } from './parallel.ts';
import { quantisation } from './quantisation.ts';
import { search } from './search.ts';
import { start } from './start.ts';
import { tax } from './tax.ts';
import { used } from './used.ts';

export const EXPERIMENTS: readonly Experiment[] = [
  modes,
  start,
  quantisation,
  bptt,
  parallel,
  used,
  search,
  tax,
];
