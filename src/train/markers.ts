// The latent markers of a model that a run starts from: those that the run reads and nobody has trained begin as copies
// of a token that is. Knows modes, vocabularies and the names of weights; knows no device.
import { FORMS, MODES, type Mode } from '../data/curriculum.ts';
import { type OpenModel, withCopies } from '../eval/open.ts';
import type { ModelConfig } from '../model/config.ts';
import { armModes } from './arms.ts';
import type { TrainOptions } from './option-table.ts';

/** What the three markers are to a model: read in its rows, or tokens like any other. */
interface Read {
  readonly start: boolean;
  readonly end: boolean;
  readonly latent: boolean;
}

const NONE: Read = { start: false, end: false, latent: false };
const ALL: Read = { start: true, end: true, latent: true };

/**
 * A model that wrote its steps out (`cot`, `no-cot`, `icot`, …) never read a marker. In those rows of the embedding is
 * then what training leaves of an unused token: weight decay has shrunk it, and the softmax, the head being the same
 * matrix, has pushed it away from every hidden state. In the reference such a model has no markers yet: they are added
 * when it begins to think, as copies of `<<` (openModel in eval/open.ts). Here they begin as the same copies then. But in a
 * vocabulary of words they stay what they are: graph search is learnt with them (docs/log.md).
 *
 * Markers that were read stay bit for bit, and so do all of a model that does not say how it was trained.
 */
export function withTrainedMarkers(model: OpenModel, options: TrainOptions): OpenModel {
  const { startLatentId, endLatentId, latentTokenId } = model.config;
  const [had, wanted] = [readBy(model.config), readIn(options)];
  const ids = [
    [startLatentId, wanted.start && !had.start],
    [endLatentId, wanted.end && !had.end],
    [latentTokenId, wanted.latent && !had.latent],
  ] as const;
  return withCopies(
    model,
    ids.flatMap(([id, fresh]) => (fresh && id !== undefined ? [id] : [])),
  );
}

/** Markers in the rows that a model was trained on last. */
function readBy({ reasoning, recurrence }: ModelConfig): Read {
  if (reasoning === undefined) return ALL;
  const mode = MODES.find(known => known === reasoning.mode);
  if (mode === undefined) return NONE;
  const silent = reasoning.stage > 0 || FORMS[mode].written === 'none';
  return readAt(mode, silent, reasoning.endMarker, recurrence?.schedule);
}

/** Markers in the rows that a run will make. */
function readIn(options: TrainOptions): Read {
  const reads = armModes(options).map(mode =>
    mode === 'lm' ? NONE : readAt(mode, true, options.endMarker, options.latents),
  );
  const any = (marker: keyof Read): boolean => reads.some(read => read[marker]);
  return { start: any('start'), end: any('end'), latent: any('latent') };
}

/** `silent`: rows have thoughts or pauses. The latent token itself is read as a pause, and as what a parallel thought starts from. */
function readAt(
  mode: Mode,
  silent: boolean,
  endMarker: TrainOptions['endMarker'],
  schedule: TrainOptions['latents'] = 'sequential',
): Read {
  const { instead } = FORMS[mode];
  if (instead === 'nothing') return NONE;
  const itself = instead === 'pauses' || schedule !== 'sequential';
  return { start: true, end: silent || endMarker === 'always', latent: silent && itself };
}
