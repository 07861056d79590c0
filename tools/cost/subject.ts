// The model and the rows that a cost is asked for: those of a preset, or of a config.json. Knows flags and presets;
// knows no device.
import { UserError } from '../../src/errors.ts';
import type { Files } from '../../src/files.ts';
import { type ModelConfig, parseConfig } from '../../src/model/config.ts';
import type { Window } from '../../src/model/latent.ts';
import type { PresetName } from '../../src/train/option-table.ts';
import { withPreset } from '../../src/train/presets.ts';
import { columnsOf, presetRows, type RowForm } from './rows.ts';

export interface SubjectFlags {
  readonly preset?: PresetName;
  readonly config?: string;
  readonly columns?: number;
  readonly latents?: number;
  readonly text?: number;
  readonly bptt?: Window;
}

export interface Subject {
  readonly name: string;
  readonly config: ModelConfig;
  readonly form: RowForm;
  readonly window: Window;
}

/** Throws UserError where the flags do not fit together or the file is no config. */
export async function subjectOf(flags: SubjectFlags, files: Pick<Files, 'readText'>): Promise<Subject> {
  const { preset, config: file, bptt } = flags;
  if ((preset === undefined) === (file === undefined))
    throw new UserError('give --preset or --config, one of them (see --help)');
  if (preset !== undefined) {
    const options = withPreset({ preset });
    const { form, vocabulary } = presetRows(options);
    const rows = formOf(flags, form);
    const { width, layers, heads } = options;
    const config = bareConfig({ vocabSize: vocabulary, positions: columnsOf(rows), width, layers, heads });
    return { name: preset, config, form: rows, window: bptt ?? options.bptt };
  }
  const config = parseConfig(await files.readText(file!), file!);
  const form = formOf(flags, { question: 104, latents: 6, text: 16 });
  if (columnsOf(form) > config.positions)
    throw new UserError(`--columns ${columnsOf(form)}: ${file} has only ${config.positions} positions`);
  return { name: file!, config, form, window: bptt ?? 'full' };
}

/** The rows that are asked for; what is not, is as in `usual`. */
function formOf({ columns, latents, text }: SubjectFlags, usual: RowForm): RowForm {
  const form = { ...usual, latents: latents ?? usual.latents, text: text ?? usual.text };
  if (columns === undefined) return form;
  const question = columns - columnsOf({ ...form, question: 0 });
  if (question < 1)
    throw new UserError(
      `--columns ${columns}: no room for a question beside ${form.latents} latents and text`,
    );
  return { ...form, question };
}

function bareConfig(
  sizes: Pick<ModelConfig, 'vocabSize' | 'positions' | 'width' | 'layers' | 'heads'>,
): ModelConfig {
  return {
    ...sizes,
    inner: 4 * sizes.width,
    layerNormEpsilon: 1e-5,
    bosTokenId: undefined,
    eosTokenId: undefined,
    padTokenId: undefined,
    latentTokenId: undefined,
    startLatentId: undefined,
    endLatentId: undefined,
    reasoning: undefined,
  };
}
