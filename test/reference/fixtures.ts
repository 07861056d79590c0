// Finds and reads the fixtures of test/fixtures/parity: models, batches, and the losses and gradients that
// PyTorch gives for them in float64 (test/parity/make_fixtures.py wrote them).
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReferenceBatch, ReferenceModel } from './model.ts';
import { readSafetensors, type StoredTensor } from './safetensors.ts';

const ROOT = join(import.meta.dirname, '..', 'fixtures', 'parity');

export interface Fixture {
  /** MODEL/BATCH. */
  readonly name: string;
  /** The Hugging Face folder. */
  readonly model: string;
  /** The batch's JSON file. */
  readonly batch: string;
  /** `full` first, then finite windows: the file of expected values of each. */
  readonly expected: ReadonlyMap<string, string>;
}

const folders = (path: string) =>
  readdirSync(path, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
    .sort();

/** All fixtures, by name. */
export function parityFixtures(): Fixture[] {
  return folders(ROOT).flatMap(model =>
    folders(join(ROOT, model)).map(batch => {
      const folder = join(ROOT, model, batch);
      const windows = readdirSync(folder)
        .filter(file => file.endsWith('.safetensors'))
        .map(file => file.slice(0, -'.safetensors'.length))
        .sort((a, b) => (a === 'full' ? -1 : b === 'full' ? 1 : Number(a) - Number(b)));
      return {
        name: `${model}/${batch}`,
        model: join(ROOT, model),
        batch: join(folder, 'batch.json'),
        expected: new Map(windows.map(window => [window, join(folder, window + '.safetensors')])),
      };
    }),
  );
}

/** A fixture's model for the float64 reference. */
export function readModel(fixture: Fixture): ReferenceModel {
  const config = JSON.parse(readFileSync(join(fixture.model, 'config.json'), 'utf8'));
  const stored = readSafetensors(join(fixture.model, 'model.safetensors'));
  return { config, weights: new Map([...stored].map(([name, tensor]) => [name, tensor.data])) };
}

export function readBatch(fixture: Fixture): ReferenceBatch {
  return JSON.parse(readFileSync(fixture.batch, 'utf8'));
}

/** Latents of each row. */
export function latentCounts(model: ReferenceModel, batch: ReferenceBatch): number[] {
  return batch.input_ids.map(ids => ids.filter(id => id === model.config.latent_token_id).length);
}

/** max|a - b| / max|b|, the relative error of a tensor: the measure of every parity figure. */
export function relativeError(actual: Float64Array, expected: Float64Array): number {
  if (actual.length !== expected.length) return Infinity;
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    // Written so that a NaN is the worst error, not none.
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return worst === 0 ? 0 : worst / scale;
}

/** The worst relative error over all expected tensors, and where it is. */
export function worstError(
  actual: ReadonlyMap<string, Float64Array>,
  expected: ReadonlyMap<string, StoredTensor>,
): { error: number; name: string } {
  let worst = { error: 0, name: '' };
  for (const [name, tensor] of expected) {
    const error = relativeError(actual.get(name) ?? new Float64Array(0), tensor.data);
    if (error > worst.error) worst = { error, name };
  }
  return worst;
}
