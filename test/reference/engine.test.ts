// The conversion from the engine's time-major batches: the reference must see the same batch.
import { expect, test } from 'vitest';
import { referenceBatch, type TimeMajorBatch } from './engine.ts';
import { latentCounts, parityFixtures, readBatch, readModel } from './fixtures.ts';

test.each(parityFixtures().filter(({ name }) => !name.startsWith('medium')))('$name', fixture => {
  const model = readModel(fixture);
  const batch = readBatch(fixture);
  const B = batch.input_ids.length;
  const T = batch.input_ids[0]!.length;
  const timeMajor = (rows: readonly (readonly number[])[]) =>
    Array.from({ length: T * B }, (_, index) => rows[index % B]![Math.floor(index / B)]!);
  const firstLatents = batch.input_ids
    .map(ids => ids.indexOf(model.config.latent_token_id))
    .filter(t => t >= 0);
  const engine: TimeMajorBatch = {
    B,
    T,
    ids: Uint32Array.from(timeMajor(batch.input_ids)),
    positions: Uint32Array.from(timeMajor(batch.position_ids)),
    labels: Int32Array.from(timeMajor(batch.labels)),
    first: Uint32Array.from(batch.attention_mask, mask => mask.indexOf(1)),
    latentStart: firstLatents[0] ?? T,
    latents: Uint32Array.from(latentCounts(model, batch)),
  };
  const converted = referenceBatch(engine);
  expect(converted).toEqual(batch);
});
