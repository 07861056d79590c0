// What a run starts from, whatever it learns. Knows which of the two it is.
import type { Files } from '../files.ts';
import type { TrainOptions } from './option-table.ts';
import { prepareSamples, type SampleSetup, type Start } from './setup.ts';
import { prepareText, type TextSetup } from './text-setup.ts';

export type Setup = SampleSetup | TextSetup;

/**
 * Reads or generates everything; a run that goes on `from` a checkpoint has its model from there. Every fault in a
 * file is a UserError of one line that names it.
 */
export function prepare(options: TrainOptions, files: Files, from?: Start): Promise<Setup> {
  return options.mode === 'lm' ? prepareText(options, files, from) : prepareSamples(options, files, from);
}
